"""Written digits that move, each with a recording of its name: clips and sounds that belong together.

    python recipes/moving_digits/clips.py mnist.npz fsdd/recordings.zip moving/
    headwater pretrain moving/train.tsv --objective pair_contrast --pair video=clip,audio=wav --out runs/moving
    headwater evaluate runs/moving moving/test.tsv --label digit

With --films the two stand in one file each, as a camera leaves them, and the recording is the clip's sound track:

    python recipes/moving_digits/clips.py mnist.npz fsdd/recordings.zip moving/ --films
    headwater pretrain moving/train.tsv --objective pair_contrast --pair video,audio --out runs/films

The clips have their digits with them, and are used by themselves too (here 8,000 of them, and 1,000 for the test):

    python recipes/moving_digits/clips.py mnist.npz fsdd/recordings.zip moving/ --train 8000 --test 1000
    headwater pretrain moving/clips-train.npz --objective masked_tubelets --out runs/clips
    headwater gain runs/clips moving/clips-train.npz --test moving/clips-test.npz --label digit --budgets 10,100

A digit of 28 × 28 pixels moves over a dark square of 48 × 48 for eight frames, in a straight line, and comes back from
the walls. Official parts of both sets: x_train with takes 5 and more, x_test with takes 0 to 4.
"""

import argparse
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

FRAMES, SIDE, DIGIT, TEST_TAKES = 8, 48, 28, 5
FASTEST = 5.0
"""Pixels from one frame to the next, at most in each direction."""

Pixels = NDArray[np.uint8]


def moving(digit: Pixels, rng: np.random.Generator) -> Pixels:
    """(28, 28) → (8, 48, 48)."""
    room = SIDE - DIGIT
    place, step = rng.uniform(0, room, 2), rng.uniform(-FASTEST, FASTEST, 2)
    frames = np.zeros((FRAMES, SIDE, SIDE), np.uint8)
    for frame in frames:
        down, right = np.rint(place).astype(int)
        frame[down : down + DIGIT, right : right + DIGIT] = digit
        place = place + step
        beyond = (place < 0) | (place > room)
        step = np.where(beyond, -step, step)
        place = np.where(place < 0, -place, np.where(place > room, 2 * room - place, place))
    return frames


def film(path: Path, frames: Pixels, recording: bytes) -> None:
    """One file of eight frames in a second, and the recording as its sound."""
    samples, rate = soundfile.read(io.BytesIO(recording), dtype="int16")
    with av.open(str(path), "w", format="matroska") as container:
        pictures: Any = container.add_stream("ffv1", rate=FRAMES)
        pictures.height = pictures.width = SIDE
        pictures.pix_fmt = "gray"
        track: Any = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for frame in frames:
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(pictures.encode())
        sound = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        sound.rate = rate
        container.mux(track.encode(sound))
        container.mux(track.encode())


def _take(name: str) -> int:
    return int(PurePosixPath(name).stem.split("_")[2])


def main(arguments: Sequence[str] | None = None) -> None:
    """Read digits and recordings, write clips and the tables that name both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mnist", type=Path, help="mnist.npz with x_train, y_train, x_test, y_test")
    parser.add_argument("recordings", type=Path, help="recordings.zip")
    parser.add_argument("folder", type=Path, help="where the clips and the tables are written")
    parser.add_argument("--train", type=int, default=2700)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--films", action="store_true", help="clip and recording in one file, the second its sound"
    )
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    packed = zipfile.ZipFile(chosen.recordings)
    names = sorted(name for name in packed.namelist() if name.endswith(".wav"))
    arrays = np.load(chosen.mnist)
    for number, part in enumerate(("train", "test")):
        rng = np.random.default_rng([chosen.seed, number])
        takes = [name for name in names if (_take(name) < TEST_TAKES) == (part == "test")]
        digits, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        spoken = [str(takes[place]) for place in rng.integers(len(takes), size=int(getattr(chosen, part)))]
        clips: list[Pixels] = []
        kinds: list[int] = []
        lines = ["file\tdigit" if chosen.films else "clip\twav\tdigit"]
        for row, name in enumerate(spoken):
            label = int(PurePosixPath(name).stem.split("_")[0])
            written = np.flatnonzero(labels == label)
            clips.append(moving(digits[int(rng.choice(written))], rng))
            kinds.append(label)
            if chosen.films:
                place = f"films-{part}/{row:04}.mkv"
                (chosen.folder / place).parent.mkdir(exist_ok=True)
                film(chosen.folder / place, clips[-1], packed.read(name))
                lines.append(f"{place}\t{label}")
            else:
                lines.append(f"{row}\t{PurePosixPath(name).name}\t{label}")
        if not chosen.films:
            np.savez_compressed(chosen.folder / f"clips-{part}.npz", frames=np.stack(clips), digit=kinds)
        (chosen.folder / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{part}: {len(clips):,} clips, each with a recording of its name")
    packed.close()


if __name__ == "__main__":
    main()
