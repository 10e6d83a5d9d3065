"""Pairs of a query and a passage: which columns they stand in."""

import json
from pathlib import Path

import pytest

from headwater.data.readers import read_labelled
from headwater.errors import BadDataError

SENTENCE = "a few words about number"


def table(path: Path, *columns: str) -> Path:
    rows = [{name: f"{SENTENCE} {number} of {name}" for name in columns} for number in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("columns", "query", "passage"),
    [
        (("title", "context", "question"), "question", "context"),
        (("title", "text"), "title", "text"),
        (("sentence1", "sentence2"), "sentence1", "sentence2"),
        (("passage", "query"), "query", "passage"),
        (("asked", "found"), "asked", "found"),
        (("answer", "question"), "question", "answer"),
        (("found", "question"), "question", "found"),
    ],
)
def test_columns_are_known_by_their_names_or_their_order(
    tmp_path: Path, columns: tuple[str, ...], query: str, passage: str
) -> None:
    found = read_labelled(table(tmp_path / "pairs.jsonl", *columns), labels="passage")
    assert (found.text_columns, found.label_column) == ((query,), passage)


def test_the_user_names_columns_instead(tmp_path: Path) -> None:
    path = table(tmp_path / "pairs.jsonl", "title", "context", "question")
    found = read_labelled(path, text=("title", "question"), label="context", labels="passage")
    assert (found.text_columns, found.label_column) == (("title", "question"), "context")
    found = read_labelled(path, label="question", labels="passage")
    assert (found.text_columns, found.label_column) == (("title",), "question")


@pytest.mark.parametrize("columns", [("text",), ("question",), ("asked",)])
def test_one_text_is_no_pair(tmp_path: Path, columns: tuple[str, ...]) -> None:
    with pytest.raises(BadDataError, match="--text QUERY --label PASSAGE"):
        read_labelled(table(tmp_path / "single.jsonl", *columns), labels="passage")


def test_plain_text_is_no_pair(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one line\nanother line\n", encoding="utf-8")
    with pytest.raises(BadDataError, match="carries no pairs of texts"):
        read_labelled(tmp_path / "notes.txt", labels="passage")
