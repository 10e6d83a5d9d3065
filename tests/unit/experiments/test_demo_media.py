"""The embedded pictures, recordings and clips are what they say, each time, and nothing of the test is in the rest."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from headwater.data.cutting import ClipCut, Cut, PictureCut, SoundCut
from headwater.data.labelled_media import read_labelled_media
from headwater.errors import UsageError
from headwater.experiments.demo import DEMOS, demo
from headwater.experiments.demo_corpus import DemoFiles
from headwater.experiments.demo_media import (
    SOUNDS,
    write_demo_clips,
    write_demo_pictures,
    write_demo_recordings,
)


@pytest.mark.parametrize(
    ("write", "cut", "rows"),
    [
        (write_demo_pictures, PictureCut(), (1348, 449)),
        (write_demo_clips, ClipCut(), (900, 400)),
        (write_demo_recordings, SoundCut(), (900, 400)),
    ],
)
def test_rows_are_labelled_and_apart(
    write: Callable[[Path], DemoFiles], cut: Cut, rows: tuple[int, int], tmp_path: Path
) -> None:
    files = write(tmp_path)
    train = read_labelled_media(files.train, cut=cut)
    test = read_labelled_media(files.test, cut=cut)
    assert (len(train), len(test)) == rows == (files.train_rows, files.test_rows)
    assert train.labels == test.labels == files.classes
    digests = {row.digest for row in train.examples}
    assert not digests & {row.digest for row in test.examples}
    write(tmp_path / "again")
    again = read_labelled_media(tmp_path / "again" / files.train.name, cut=cut)
    assert [row.digest for row in again.examples] == [row.digest for row in train.examples]


def test_a_clip_shows_the_digit_that_it_is_labelled_with(tmp_path: Path) -> None:
    files = write_demo_clips(tmp_path)
    found = np.load(files.train)
    digits = (load_digits().images * 255 / 16).round().astype(np.uint8)  # pyright: ignore[reportAttributeAccessIssue]
    labels = load_digits().target.astype(str)  # pyright: ignore[reportAttributeAccessIssue]
    for frames, label in list(zip(found["data"], found["label"], strict=True))[:3]:
        best, name = -1.0, ""
        for digit, other in zip(digits[::1], labels, strict=True):
            large = digit.repeat(2, axis=0).repeat(2, axis=1).astype(float)
            windows = np.lib.stride_tricks.sliding_window_view(frames[0].astype(float), (16, 16))
            score = -np.abs(windows - large).mean(axis=(2, 3)).min()
            if best == -1.0 or score > best:
                best, name = score, other
        assert name == str(label)


def test_a_tone_that_rises_rises(tmp_path: Path) -> None:
    write_demo_recordings(tmp_path)
    rows = read_labelled_media(tmp_path / "train", cut=SoundCut()).examples
    bands: dict[str, list[float]] = {name: [] for name in SOUNDS}
    for row in rows[::3]:
        assert row.pixels is not None
        loudness = row.pixels[:, :, 0].max(axis=0)
        inside = np.sort(
            np.argsort(-loudness.astype(int), kind="stable")[:14]
        )  # a tone lasts 15 columns or more
        loudest = row.pixels[:, inside, 0].astype(int).argmax(axis=0)
        bands[str(row.label)].append(loudest[7:].mean() - loudest[:7].mean())  # low bands stand below
    means = {name: float(np.mean(found)) for name, found in bands.items()}
    assert means["rising"] < -3 < means["steady"] < 3 < means["falling"]


def test_a_demo_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="audio"):
        demo("sound")
    assert set(DEMOS) == {"text", "image", "audio", "video"}
