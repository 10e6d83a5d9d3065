"""What is guessed of a table: whether it has a header, what is text, what a cell that is empty means."""

import json
from pathlib import Path

import pytest

from headwater.data import Problems, find_sources, read_documents, read_labelled
from headwater.data.readers.sources import open_table
from headwater.errors import BadDataError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_first_row_whose_values_come_again_is_no_header(tmp_path: Path) -> None:
    rows = [f"{'good' if row % 2 else 'bad'}\tThe pump in hall {row} runs and runs" for row in range(40)]
    found = read_labelled(write(tmp_path / "a.tsv", "\n".join(rows)))
    assert (len(found), found.labels) == (40, ("bad", "good"))
    joined = "\n".join(["label\ttext", *rows, "label\ttext", *rows, "label\ttext", *rows])
    assert read_labelled(write(tmp_path / "b.tsv", joined)).text_columns == ("text",)


def test_the_line_that_names_the_delimiter_to_a_spreadsheet_is_no_row(tmp_path: Path) -> None:
    rows = "\n".join(f"The pump, in hall {row}, runs;{'good' if row % 2 else 'bad'}" for row in range(20))
    found = read_labelled(write(tmp_path / "a.csv", f"sep=;\nnote;label\n{rows}\n"))
    assert (len(found), found.text_columns, found.examples[0].row) == (20, ("note",), 1)
    assert open_table(find_sources(tmp_path / "a.csv")[0]).facts["delimiter"] == "semicolon"


def test_a_column_that_is_mostly_empty_is_used_where_it_is_filled(tmp_path: Path) -> None:
    rows = [
        f"{row},{'the pump in this hall leaks ' + str(row) if row % 5 == 0 else ''},{'x' if row < 12 else ''}"
        for row in range(100)
    ]
    path = write(tmp_path / "a.csv", "\n".join(["id,comment,label", *rows]))
    problems = Problems()
    assert len(list(read_documents(path, problems=problems))) == 20
    assert problems.by_reason() == {"empty text": 80}
    assert len(read_labelled(path)) == 3


@pytest.mark.parametrize(
    "cells",
    [
        [f"2026-11-{day:02} 12:{day:02}:00" for day in range(1, 29)],
        [json.dumps({"number": day, "unit": "bar of pressure"}) for day in range(28)],
        [f"Mon Nov {day} 12:00:00 2026" for day in range(1, 29)],
    ],
    ids=["times", "nested values", "dates"],
)
def test_what_is_no_text_does_not_become_the_corpus(tmp_path: Path, cells: list[str]) -> None:
    rows = [json.dumps({"when": cell, "n": number}) for number, cell in enumerate(cells)]
    path = write(tmp_path / "a.jsonl", "\n".join(rows))
    with pytest.raises(BadDataError, match="no column reads as text"):
        list(read_documents(path, problems=Problems()))


def test_lines_of_a_log_and_names_of_products_do(tmp_path: Path) -> None:
    rows = [f"ERR 0x{row:04x} pump-{row} failed {row * 37}" for row in range(30)]
    path = write(tmp_path / "a.csv", "\n".join(["line,n", *(f"{row},1" for row in rows)]))
    assert len(list(read_documents(path, problems=Problems()))) == 30


def test_languages_with_vowel_signs_read_as_language(tmp_path: Path) -> None:
    rows = [f"पंप संख्या {row} चल रहा है और ठीक है,{'a' if row % 2 else 'b'}" for row in range(30)]
    found = read_labelled(write(tmp_path / "a.csv", "\n".join(["note,kind", *rows])))
    assert found.text_columns == ("note",)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("text,spam", "{text},{a}"),
        ("text,label,Email,Phone", "{text},{a},Email,Phone"),
        ("review,sentiment,other", "{text},{a},other"),
        ("en,de", "en,de"),
        ("word,text", "word,{text}"),
        ("text,n/a", "{text},n/a"),
        ("How satisfied were you with it?,answer", "{text},answer"),
    ],
)
def test_a_name_that_is_a_value_too_is_a_name(tmp_path: Path, header: str, row: str) -> None:
    rows = [row.format(text=f"The pump in hall {n} runs", a="spam" if n % 2 else "ham") for n in range(40)]
    table = open_table(find_sources(write(tmp_path / "a.csv", "\n".join([header, *rows])))[0])
    assert table.facts["header"] == "first row"
