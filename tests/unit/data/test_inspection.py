import json
from pathlib import Path

import pytest

from headwater.data import Problems, inspect
from headwater.data import inspection as module
from headwater.data.inspection import shown
from headwater.data.problems import KEPT_PER_REASON
from headwater.data.scripts import language_guess, script_shares
from headwater.errors import BadDataError


@pytest.fixture
def labelled_folder(tmp_path: Path) -> Path:
    rows = [f"The sentence number {number} says something.\t{'ab'[number % 2]}" for number in range(40)]
    (tmp_path / "train.tsv").write_text("\n".join(["text\tlabel", *rows, rows[0]]), encoding="utf-8")
    (tmp_path / "test.tsv").write_text(
        "\n".join(["text\tlabel", *rows[:5], "Brand new words in this row\ta", "\tb", "x\ty\tz"]),
        encoding="utf-8",
    )
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    return tmp_path


def test_a_report_states_columns_labels_and_duplicates(labelled_folder: Path):
    test, train = inspect(labelled_folder).files
    assert (train.split, train.rows, train.text_columns, train.label_column) == (
        "train",
        41,
        ("text",),
        "label",
    )
    assert train.labels == {"a": 21, "b": 20}
    assert train.exact_duplicates == 1
    assert test.also_in_train == 5
    assert test.problems.by_reason() == {"empty text": 1, "wrong number of cells": 1}


def test_a_report_is_json_and_text(labelled_folder: Path):
    found = inspect(labelled_folder)
    assert json.loads(json.dumps(found.to_dict()))["files"][1]["labels"] == {"a": 21, "b": 20}
    assert found.to_dict()["ignored"] == {".pdf": 1}
    text = str(found)
    assert "5 rows equal a row of a train file" in text
    assert "2 of 8 rows left out: 1 empty text, 1 wrong number of cells" in text


def test_lengths_are_counted_in_characters(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join("字" * length for length in range(1, 101)), encoding="utf-8")
    report = inspect(path).files[0]
    assert report.characters == 5050
    assert report.lengths["50 %"] in (50, 51) and report.lengths["100 %"] == 100


def test_a_large_file_is_sampled_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "EXAMINED_ROWS", 10)
    path = tmp_path / "a.txt"
    path.write_text("".join(f"Line {number}.\n" for number in range(11)))
    found = inspect(path)
    assert found.files[0].sampled and found.files[0].rows == 10
    assert "sampled: all figures are of the first 10 rows" in str(found)


def test_a_mostly_bad_file_is_reported_and_not_refused(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("{oops\n" * 30 + '{"text": "fine words here"}\n')
    report = inspect(tmp_path).files[0]
    assert report.rows == 1 and report.problems.by_reason() == {"invalid JSON": 30}


def test_a_wrong_column_is_refused(labelled_folder: Path):
    with pytest.raises(BadDataError, match='did you mean "label"'):
        inspect(labelled_folder, label="labels")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Plain English words", "Latin script"),
        ("今天天气很好", "Chinese"),
        ("今日はとても良い天気です", "Japanese"),
        ("오늘은 날씨가 좋습니다", "Korean"),
        ("Сегодня хорошая погода", "Cyrillic script"),
        ("الطقس جميل اليوم", "Arabic script"),
        ("123 456 !?", "no letters"),
    ],
)
def test_the_script_suggests_the_language(text: str, language: str):
    assert language_guess(script_shares([text])) == language


def test_script_shares_are_of_letters_alone():
    shares = script_shares(["abc 字 ", "1234567890"])
    assert shares == {"Latin": 0.75, "Han": 0.25}


def test_control_characters_never_reach_the_terminal():
    assert shown("a\x1b[31mred\u202e\nb") == "a [31mred  b"
    assert shown("x" * 100, 10) == "x" * 9 + "…"


def test_problems_are_counted_and_the_first_kept():
    problems = Problems()
    problems.rows = 5712
    for row in range(1, 31):
        problems.add("reviews.csv", row, "empty text")
    problems.add("reviews.csv", 17, "bad quotes")
    problems.add("broken.csv", 0, "file damaged or unreadable")
    assert problems.summary() == (
        "31 of 5,712 rows left out: 30 empty text, 1 bad quotes; "
        "1 files not read to their end: 1 file damaged or unreadable (first: reviews.csv row 1)"
    )
    assert len(problems.to_dict()["first"]) == KEPT_PER_REASON + 2


def test_absorbing_problems_adds_up():
    left, right = Problems(), Problems()
    left.add("a", 1, "x")
    right.add("b", 2, "x")
    right.add("b", 0, "y")
    right.note("cut", 2)
    left.absorb(right)
    assert (left.total, left.files, left.by_reason(), left.notes) == (2, 1, {"x": 2, "y": 1}, {"cut": 2})


@pytest.mark.data
def test_the_leak_in_a_public_set_is_seen(data_sets: Path):
    test = inspect(data_sets / "pairs/sts_benchmark_en").files[0]
    assert test.also_in_train == 7
