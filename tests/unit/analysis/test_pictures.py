"""Lines of pictures in one file: each has its name before it, where it has one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.analysis.lettering import font_for, in_lines
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


def test_a_text_stands_under_its_column(tmp_path: Path) -> None:
    lines = [np.zeros((2, 96, 96, 3), np.uint8)] * 2
    draw_rows(lines, tmp_path / "bare.png")
    assert draw_rows(lines, tmp_path / "told.png", captions=("straße " * 9, "a"))
    bare, told = drawn(tmp_path / "bare.png"), drawn(tmp_path / "told.png")
    assert np.array_equal(told[: len(bare)], bare)
    under = told[len(bare) :]
    assert [bool(under[:, 100 * side : 100 * side + 100].min() < 100) for side in (0, 1)] == [True, True]
    assert under[60:, :100].min() < 100  # in several lines
    assert under[60:, 100:].min() == 255
    assert under[:, 96:104].min() == 255  # and none runs into the next column


def test_what_no_font_can_draw_is_left_out_and_said(tmp_path: Path) -> None:
    lines = [np.zeros((1, 96, 96, 3), np.uint8)]
    draw_rows(lines, tmp_path / "bare.png")
    assert not draw_rows(lines, tmp_path / "told.png", captions=("\U0010fffd",))
    assert np.array_equal(drawn(tmp_path / "told.png"), drawn(tmp_path / "bare.png"))


@pytest.mark.parametrize("text", ["one two three four five", "一个粉色刺头的人物面向右" * 2, "x" * 60, ""])
def test_lines_are_as_wide_as_there_is_room_and_lose_nothing(text: str) -> None:
    font = font_for(["a"], 13)
    assert font is not None
    lines = in_lines(text, font, 80)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(font.getlength(line) <= 80 for line in lines)
    assert in_lines("word " * 200, font, 80)[-1] == "…"


def test_a_moving_picture_has_names_too(tmp_path: Path) -> None:
    draw_moving([np.zeros((1, 3, 96, 96, 3), np.uint8)], tmp_path / "clip.gif", ("as it was",))
    with Image.open(tmp_path / "clip.gif") as moving:
        assert moving.size[0] > 96 + 40
