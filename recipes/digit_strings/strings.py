"""Strings of spoken digits: recordings of one speaker joined with short silences, and the words that were said.

    python recipes/digit_strings/strings.py fsdd/recordings.zip strings/
    headwater finetune scratch strings/train.tsv --label text --task speech_recognition --out runs/strings
    headwater evaluate runs/strings strings/test.tsv

Recordings are named DIGIT_SPEAKER_TAKE.wav, as in the Free Spoken Digit Dataset; takes 0 to 4 are its test part and
make the test strings, the others the training strings. Which digits follow each other is drawn by the seed.
"""

import argparse
import io
import wave
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEST_TAKES = 5
SILENCE = (0.05, 0.2)
"""Seconds between two digits, at least and at most."""

Samples = NDArray[np.int16]


class Take(NamedTuple):
    """One recording of a digit."""

    digit: int
    speaker: str
    number: int
    samples: Samples
    rate: int


def takes_in(archive: Path) -> Iterator[Take]:
    """The recordings of an archive, by their names."""
    with zipfile.ZipFile(archive) as packed:
        for name in sorted(packed.namelist()):
            parts = PurePosixPath(name).stem.split("_")
            if not name.endswith(".wav") or len(parts) != 3:
                continue
            with wave.open(io.BytesIO(packed.read(name))) as sound:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
                yield Take(int(parts[0]), parts[1], int(parts[2]), samples, sound.getframerate())


def joined(takes: Sequence[Take], rng: np.random.Generator) -> Samples:
    """Their samples one after the other, silence between them."""
    parts: list[Samples] = []
    for take in takes:
        gap = round(float(rng.uniform(*SILENCE)) * take.rate) if parts else 0
        parts += [np.zeros(gap, np.int16), take.samples]
    return np.concatenate(parts)


def strings(
    by_speaker: Mapping[str, Sequence[Take]], count: int, lengths: tuple[int, int], seed: int
) -> Iterator[tuple[str, int, Samples]]:
    """``count`` strings with their words and rate; each of one speaker, of so many digits at least and at most."""
    rng = np.random.default_rng(seed)
    speakers = sorted(by_speaker)
    for _ in range(count):
        own = by_speaker[speakers[int(rng.integers(len(speakers)))]]
        size = int(rng.integers(lengths[0], lengths[1] + 1))
        chosen = [own[int(place)] for place in rng.integers(len(own), size=size)]
        yield " ".join(WORDS[take.digit] for take in chosen), chosen[0].rate, joined(chosen, rng)


def write(folder: Path, part: str, rows: Iterator[tuple[str, int, Samples]]) -> int:
    """A wav file for each string, and the table that names them with their words."""
    (folder / part).mkdir(parents=True, exist_ok=True)
    lines = ["file\ttext"]
    for number, (text, rate, samples) in enumerate(rows):
        name = f"{part}/{number:05d}.wav"
        with wave.open(str(folder / name), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(samples.astype("<i2").tobytes())
        lines.append(f"{name}\t{text}")
    (folder / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines) - 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Read recordings, write strings of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path, help="recordings.zip")
    parser.add_argument("folder", type=Path, help="where train.tsv, test.tsv and the wav files are written")
    parser.add_argument("--train", type=int, default=4000, help="training strings")
    parser.add_argument("--test", type=int, default=300, help="test strings")
    parser.add_argument("--digits", default="2-5", help="digits of a string, at least and at most")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    least, _, most = str(chosen.digits).partition("-")
    lengths = (int(least), int(most or least))
    parts: dict[str, dict[str, list[Take]]] = {"train": defaultdict(list), "test": defaultdict(list)}
    for take in takes_in(chosen.recordings):
        parts["test" if take.number < TEST_TAKES else "train"][take.speaker].append(take)
    for number, (part, by_speaker) in enumerate(parts.items()):
        count = int(getattr(chosen, part))
        written = write(chosen.folder, part, strings(by_speaker, count, lengths, chosen.seed + number))
        print(f"{part}: {written:,} strings of {len(by_speaker)} speakers")


if __name__ == "__main__":
    main()
