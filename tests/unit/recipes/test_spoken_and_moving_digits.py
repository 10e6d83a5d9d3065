"""Recipes of digit strings and moving digits: what is written is what was said."""

import io
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from headwater.data.readers.clips import decoded_clip
from headwater.data.readers.tracks import decoded_track
from recipes.digit_strings.strings import WORDS
from recipes.digit_strings.strings import main as strings
from recipes.moving_digits.clips import FRAMES, SIDE, moving
from recipes.moving_digits.clips import main as clips


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A tone for each digit: 100 · (digit + 1) Hz."""
    path = tmp_path / "recordings.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for digit in range(10):
            for speaker in ("ann", "bo"):
                for take in range(7):
                    stream = io.BytesIO()
                    with wave.open(stream, "wb") as sound:
                        sound.setparams((1, 2, 8000, 0, "NONE", ""))
                        times = np.arange(1600 + 80 * take) / 8000
                        tone = 9000 * np.sin(2 * np.pi * 100 * (digit + 1) * times)
                        sound.writeframes(tone.astype("<i2").tobytes())
                    packed.writestr(f"recordings/{digit}_{speaker}_{take}.wav", stream.getvalue())
    return path


def test_strings_say_their_words(recordings: Path, tmp_path: Path) -> None:
    arguments = [str(recordings), str(tmp_path / "out"), "--train", "12", "--test", "5", "--digits", "2-3"]
    strings(arguments)
    lines = (tmp_path / "out" / "train.tsv").read_text().splitlines()
    assert lines[0] == "file\ttext"
    assert len(lines) == 13
    name, text = lines[1].split("\t")
    with wave.open(str(tmp_path / "out" / name)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    spoken = np.split(
        samples, np.flatnonzero(np.diff(np.convolve(samples != 0, np.ones(200), "same") > 0)) + 1
    )
    tones = [part for part in spoken if np.abs(part).max() > 1000]
    found = [round(np.abs(np.fft.rfft(part, 8000)).argmax() / 100) - 1 for part in tones]
    assert " ".join(WORDS[digit] for digit in found) == text
    first = (tmp_path / "out" / "test" / "00000.wav").read_bytes()
    strings([str(recordings), str(tmp_path / "again"), *arguments[2:]])
    assert (tmp_path / "again" / "test" / "00000.wav").read_bytes() == first


def test_clips_move_and_belong_to_their_words(recordings: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    digits = rng.integers(100, 256, (40, 28, 28), dtype=np.uint8)
    labels = np.arange(40) % 10
    np.savez(tmp_path / "mnist.npz", x_train=digits, y_train=labels, x_test=digits, y_test=labels)
    out = tmp_path / "out"
    clips([str(tmp_path / "mnist.npz"), str(recordings), str(out), "--train", "9", "--test", "4"])
    frames = np.load(out / "clips-train.npz")["frames"]
    assert frames.shape == (9, FRAMES, SIDE, SIDE)
    rows = [line.split("\t") for line in (out / "train.tsv").read_text().splitlines()[1:]]
    for row, (number, wav, digit) in enumerate(rows):
        assert int(number) == row
        assert wav.startswith(f"{digit}_")
        seen = frames[row, 0][frames[row, 0] > 0]
        assert any(
            np.array_equal(np.sort(seen), np.sort(one[one > 0])) for one in digits[labels == int(digit)]
        )
    assert all(int(row[1].split("_")[2].split(".")[0]) >= 5 for row in rows)


def test_films_sound_the_digit_that_they_show(recordings: Path, tmp_path: Path) -> None:
    digits = np.random.default_rng(0).integers(100, 256, (20, 28, 28), dtype=np.uint8)
    labels = np.arange(20) % 10
    np.savez(tmp_path / "mnist.npz", x_train=digits, y_train=labels, x_test=digits, y_test=labels)
    out = tmp_path / "out"
    clips([str(tmp_path / "mnist.npz"), str(recordings), str(out), "--train", "5", "--test", "2", "--films"])
    rows = [line.split("\t") for line in (out / "train.tsv").read_text().splitlines()[1:]]
    assert len(rows) == 5
    for place, digit in rows:
        content = (out / place).read_bytes()
        assert decoded_clip(io.BytesIO(content)).frames.shape == (FRAMES, SIDE, SIDE, 3)
        sound = decoded_track(io.BytesIO(content))
        assert round(np.abs(np.fft.rfft(sound.samples, sound.rate)).argmax() / 100) - 1 == int(digit)


def test_a_digit_never_leaves_its_square() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        frames = moving(np.full((28, 28), 200, np.uint8), rng)
        assert ((frames > 0).sum(axis=(1, 2)) == 28 * 28).all()
