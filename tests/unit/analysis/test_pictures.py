"""Lines of pictures in one file: each has its name before it, where it has one."""

from pathlib import Path

import numpy as np
from PIL import Image

from headwater.analysis.pictures import draw_moving, draw_rows


def drawn(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), np.int64)


def test_every_line_has_its_name_before_it(tmp_path: Path) -> None:
    lines = [np.zeros((2, 96, 96, 3), np.uint8), np.full((2, 96, 96, 3), 200, np.uint8)]
    draw_rows(lines, tmp_path / "bare.png")
    draw_rows(lines, tmp_path / "named.png", ("in sight", "as it was"))
    bare, named = drawn(tmp_path / "bare.png"), drawn(tmp_path / "named.png")
    assert named.shape[0] == bare.shape[0]
    margin = named.shape[1] - bare.shape[1]
    assert margin > 40
    for line in range(2):
        words = named[4 + 100 * line : 100 + 100 * line, :margin]
        assert words.min() < 100  # written
        assert words[:20].min() == words[-20:].min() == 255  # in the middle
    assert np.array_equal(named[:, margin:][:, 4:], bare[:, 4:])


def test_names_come_again_with_every_block_of_wide_pictures(tmp_path: Path) -> None:
    wide = [np.zeros((3, 96, 1000, 1), np.uint8)] * 2
    draw_rows(wide, tmp_path / "wide.png", ("one", "two"))
    margin = drawn(tmp_path / "wide.png")[:, :40]
    written = [bool(margin[row : row + 96].min() < 200) for row in (4, 104, 208, 308)]
    assert written == [True] * 4


def test_a_moving_picture_has_names_too(tmp_path: Path) -> None:
    draw_moving([np.zeros((1, 3, 96, 96, 3), np.uint8)], tmp_path / "clip.gif", ("as it was",))
    with Image.open(tmp_path / "clip.gif") as moving:
        assert moving.size[0] > 96 + 40
