"""Parallel text in files of their own: which of them belong together, and what a row is."""

from pathlib import Path

import pytest

from headwater.data.files import find_sources
from headwater.data.readers import read_labelled
from headwater.errors import BadDataError


def write(folder: Path, **lines: str) -> Path:
    for name, text in lines.items():
        (folder / f"train.{name}").write_text(text, encoding="utf-8")
    return folder


def test_the_named_file_is_the_source_and_the_one_beside_it_the_target(tmp_path: Path) -> None:
    write(tmp_path, en="a red boat\nthe old rope\n", de="ein rotes Boot\ndas alte Seil\n")
    found = read_labelled(tmp_path / "train.de", labels="text")
    assert (found.text_columns, found.label_column) == (("de",), "en")
    assert [(example.text, example.label) for example in found.examples] == [
        ("ein rotes Boot", "a red boat"),
        ("das alte Seil", "the old rope"),
    ]


def test_a_folder_holds_one_set_whose_direction_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, en="a red boat\n", de="ein rotes Boot\n", zh="一条红色的船\n")
    (source,) = find_sources(tmp_path)
    assert (source.kind, source.split, len(source.beside)) == ("aligned", "train", 2)
    found = read_labelled(tmp_path, text="zh", label="en", labels="text")
    assert found.examples[0].text == "一条红色的船"
    assert found.examples[0].label == "a red boat"


@pytest.mark.parametrize("lines", [["yes", "no"] * 10, ["a red boat"] * 20, ["1", "2", "3"]])
def test_the_pairing_says_what_is_written_however_lines_repeat(tmp_path: Path, lines: list[str]) -> None:
    write(tmp_path, en="\n".join(lines), de="\n".join(lines))
    found = read_labelled(tmp_path / "train.en", labels="text")
    assert (found.text_columns, found.label_column, len(found)) == (("en",), "de", len(lines))


def test_a_change_in_either_file_is_another_source(tmp_path: Path) -> None:
    write(tmp_path, en="one\n", de="eins\n")
    before = find_sources(tmp_path)[0].digest
    write(tmp_path, en="one\n", de="zwei\n")
    assert find_sources(tmp_path)[0].digest != before


def test_files_of_unequal_length_are_refused_with_their_counts(tmp_path: Path) -> None:
    write(tmp_path, en="one word\ntwo words\nthree words\n", de="ein Wort\nzwei Worte\n")
    with pytest.raises(BadDataError, match=r"en 3, de 2; files of parallel text"):
        read_labelled(tmp_path / "train.en", labels="text")


def test_a_row_that_one_side_lacks_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    write(tmp_path, en="one word\n\nthree words\n", de="ein Wort\nzwei Worte\ndrei Worte\n")
    found = read_labelled(tmp_path / "train.en", labels="text")
    assert len(found) == 2
    assert found.problems.by_reason() == {"empty text": 1}


def test_a_named_file_of_one_language_alone_is_plain_text(tmp_path: Path) -> None:
    (tmp_path / "news.zh").write_text("今天下雨\n", encoding="utf-8")
    (source,) = find_sources(tmp_path / "news.zh")
    assert source.kind == "text"


def test_source_code_beside_its_header_is_no_parallel_text(tmp_path: Path) -> None:
    for name in ("boat.py", "boat.js", "notes.txt"):
        (tmp_path / name).write_text("x\n", encoding="utf-8")
    assert [source.file.name for source in find_sources(tmp_path)] == ["notes.txt"]
