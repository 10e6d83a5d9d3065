"""The embedded pictures, recordings and clips: what packages carry or numpy draws, with true labels."""

import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.experiments.demo_corpus import DemoFiles

RATE = 8_000
_SECONDS = 0.3
"""How long a recording is."""
SOUNDS = ("falling", "rising", "steady", "trembling", "twice")
DIRECTIONS = ((1, 0), (0, -1), (0, 1), (-1, 0))
"""Down, left, right, up."""
_TRAIN, _TEST = 900, 400
_FRAMES, _CANVAS = 8, 32


def write_demo_pictures(folder: Path) -> DemoFiles:
    """The 1,797 handwritten digits of 8 × 8 pixels that scikit-learn carries; every fourth is for the test."""
    digits, labels = _digits()
    test = np.arange(len(digits)) % 4 == 3
    return _arrays(folder, digits, labels, test, "handwritten digits that scikit-learn carries", "digit")


def write_demo_clips(folder: Path) -> DemoFiles:
    """Those digits at twice the size, drifting over a ground of noise: which digit is it?"""
    digits, numbers = _digits()
    rng = np.random.default_rng(0)
    large = digits.repeat(2, axis=1).repeat(2, axis=2)
    test = np.arange(_TRAIN + _TEST) >= _TRAIN
    # Every fourth digit is for the test, as among the pictures.
    shown = np.where(test, 4 * rng.integers(len(large) // 4, size=len(test)) + 3, 0)
    learnt = np.flatnonzero(np.arange(len(large)) % 4 != 3)
    shown = np.where(test, shown, rng.choice(learnt, len(test)))
    clips = np.stack([_drifting(large[place], DIRECTIONS[rng.integers(4)], rng) for place in shown.tolist()])
    return _arrays(folder, clips, numbers[shown], test, "clips of a handwritten digit that drifts", "digit")


def write_demo_recordings(folder: Path) -> DemoFiles:
    """Tones in noise, each of another pitch, length and loudness: rising, falling, steady, trembling or twice."""
    rng = np.random.default_rng(0)
    for part, count in (("train", _TRAIN), ("test", _TEST)):
        shutil.rmtree(folder / part, ignore_errors=True)
        for name in SOUNDS:
            (folder / part / name).mkdir(parents=True)
        for number in range(count):
            name = SOUNDS[rng.integers(len(SOUNDS))]
            with wave.open(str(folder / part / name / f"{number:03}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes((_tone(name, rng) * 32_767).astype("<i2").tobytes())
    told = f"{_TRAIN:,} tones in noise, {_SECONDS} seconds each"
    return DemoFiles(
        folder / "train", folder / "test", None, SOUNDS, told, "how does the tone move", _TRAIN, _TEST
    )


def _digits() -> tuple[NDArray[np.uint8], NDArray[Any]]:
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    return (found.images * 255 / 16).round().astype(np.uint8), found.target.astype(str)


def _drifting(digit: NDArray[np.uint8], step: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(T, H, W): it begins anywhere from where eight steps stay on the canvas."""
    frames = rng.integers(0, 50, (_FRAMES, _CANVAS, _CANVAS))
    side, way = len(digit), 2 * (_FRAMES - 1)
    free = _CANVAS - side - way
    begin = [
        rng.integers(free + 1) + way * (move < 0) if move else rng.integers(free + way + 1) for move in step
    ]
    for time in range(_FRAMES):
        down, right = (int(place + 2 * time * move) for place, move in zip(begin, step, strict=True))
        part = frames[time, down : down + side, right : right + side]
        np.maximum(part, digit, out=part)
    return frames.astype(np.uint8)


def _tone(name: str, rng: np.random.Generator) -> NDArray[np.float64]:
    times = np.arange(int(_SECONDS * RATE)) / RATE
    base, length = rng.uniform(300, 1_500), rng.uniform(0.5, 0.9) * _SECONDS
    start = rng.uniform(0, _SECONDS - length)
    inside = (times >= start) & (times < start + length)
    share = np.clip((times - start) / length, 0, 1)
    bend = {
        "rising": share,
        "falling": 1 - share,
        "trembling": 0.15 * np.sin(2 * np.pi * 6 * times / _SECONDS),
    }
    pitch = base * 2 ** bend.get(name, np.zeros(1))
    if name == "twice":
        inside &= (share < 0.4) | (share > 0.6)
    sound = np.sin(2 * np.pi * np.cumsum(np.broadcast_to(pitch, times.shape)) / RATE)
    return rng.uniform(0.1, 0.4) * sound * inside + rng.normal(0, 0.06, len(times))


def _arrays(
    folder: Path,
    values: NDArray[np.uint8],
    labels: NDArray[Any],
    test: NDArray[np.bool_],
    told: str,
    question: str,
) -> DemoFiles:
    folder.mkdir(parents=True, exist_ok=True)
    save: Any = np.savez_compressed
    for name, chosen in (("train", ~test), ("test", test)):
        save(folder / f"{name}.npz", data=values[chosen], label=labels[chosen])
    count = int((~test).sum())
    classes = tuple(sorted({str(label) for label in labels}))
    return DemoFiles(
        folder / "train.npz",
        folder / "test.npz",
        None,
        classes,
        f"{count:,} {told}",
        f"which {question} is it",
        count,
        int(test.sum()),
    )
