"""Plain text as lines: each in its place, blank and unusable ones too."""

from pathlib import Path

import pytest

from headwater.data.problems import Problem, Problems
from headwater.data.readers.lines import file_of_lines, read_lines
from headwater.errors import BadDataError


def lines(path: Path, content: bytes) -> tuple[list[tuple[int, str]], Problems]:
    """The number and the text, or the reason, of every line."""
    path.write_bytes(content)
    source, problems = file_of_lines(path), Problems()
    assert source is not None
    rows = read_lines(source, problems)
    return [(row.row, row.reason if isinstance(row, Problem) else row.text) for row in rows], problems


def test_a_blank_line_keeps_its_place_and_is_no_row(tmp_path: Path) -> None:
    found, problems = lines(tmp_path / "a.txt", b"\na dog\n  \n\na cat \n")
    assert found == [(1, ""), (2, "a dog"), (3, ""), (4, ""), (5, "a cat")]
    assert (problems.rows, problems.total) == (2, 0)


def test_an_unusable_line_says_why_in_its_place(tmp_path: Path) -> None:
    found, problems = lines(tmp_path / "a.txt", b"a dog\nno\0thing\na cat\n")
    assert found == [(1, "a dog"), (2, "NUL characters"), (3, "a cat")]
    assert problems.by_reason() == {"NUL characters": 1}


def test_a_line_too_long_is_one_line_still(tmp_path: Path) -> None:
    found, _ = lines(tmp_path / "a.txt", b"a dog\n" + b"x " * (1 << 20) + b"\na cat\n")
    assert found == [(1, "a dog"), (2, "line too long"), (3, "a cat")]


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_one_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadDataError, match="no usable row"):
        lines(tmp_path / "a.txt", content)


def test_of_parallel_text_the_language_that_is_asked_for_is_read(tmp_path: Path) -> None:
    for name in ("test.de", "test.en"):
        (tmp_path / name).write_text("one\n", encoding="utf-8")
    for languages, name in (((), "test.de"), (("en",), "test.en"), (("text",), "test.de")):
        source = file_of_lines(tmp_path / "test.de", languages)
        assert source is not None
        assert source.file.name == name


def test_tables_and_folders_hold_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\na\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("a\n", encoding="utf-8")
    assert file_of_lines(tmp_path / "a.csv") is None
    assert file_of_lines(tmp_path) is None
