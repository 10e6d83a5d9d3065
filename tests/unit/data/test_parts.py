"""A column of a table that says which part each row belongs to."""

import json
from pathlib import Path

import pytest

from headwater.data.examples import Example
from headwater.data.files import find_sources
from headwater.data.inspection import inspect
from headwater.data.pool import build_pool
from headwater.data.problems import Problems
from headwater.data.readers import read_documents, read_labelled
from headwater.data.readers.histories import read_histories
from headwater.data.readers.parts import may_have_parts
from headwater.data.readers.sources import in_parts
from headwater.errors import BadDataError, MissingInputError
from headwater.run.asked_rows import Asking, read_rows

WORDS = {
    "train": "a pump that runs",
    "dev": "a pump that leaks",
    "test": "a pump that stands",
    "extra": "no pump",
}


def table(folder: Path, parts: tuple[str, ...] = ("train", "dev", "test", "extra"), rows: int = 30) -> Path:
    lines = [
        f"{WORDS[part]} in hall number {row},{'bad' if row % 2 else 'good'},{part}"
        for part in parts
        for row in range(rows)
    ]
    path = folder / "pumps.csv"
    path.write_text("\n".join(["note,state,Split", *lines]) + "\n")
    return path


def test_each_command_takes_its_part(tmp_path: Path) -> None:
    path = table(tmp_path)
    for split, words in (("train", "runs"), ("validation", "leaks"), ("test", "stands")):
        found = read_labelled(path, split=split)  # type: ignore[arg-type]
        assert len(found) == 30
        assert all(words in example.text for example in found.examples)
        assert (found.text_columns, found.label_column) == (("note",), "state")
    assert read_labelled(path, split="test").examples[0].row == 61  # as in the file
    assert any('passed over, as their column "Split" tells' in note for note in found.problems.notes)


def test_unlabelled_rows_enter_the_pool_and_those_of_other_parts_do_not(tmp_path: Path) -> None:
    problems = Problems()
    texts = [example.text for example in read_documents(table(tmp_path), problems=problems)]
    assert sum("runs" in text for text in texts) == sum("no pump" in text for text in texts) == 30
    assert len(texts) == 60
    assert problems.notes["file(s), or parts of tables, named as test parts passed over"] == 1


def test_the_part_that_validates_judges(tmp_path: Path) -> None:
    pool = build_pool([table(tmp_path)], cache=tmp_path / "cache", keep_duplicates=True)
    assert pool.facts["documents"] == 60
    assert pool.facts["validation"]["documents"] == 30
    assert pool.facts["validation"]["how"] == "files named as validation parts"
    assert pool.facts["passed_over"] == [str(tmp_path / "pumps.csv")]


def test_a_table_of_one_part_is_meant_by_whoever_names_it(tmp_path: Path) -> None:
    path = table(tmp_path, ("test",))
    assert len(list(read_documents(path, problems=Problems()))) == 30
    assert len(read_labelled(path, split="train")) == 30
    with pytest.raises(MissingInputError, match="parts found by name or column: test, train"):
        read_labelled(table(tmp_path, ("train", "test")), split="validation")


def test_answers_come_for_all_rows_in_their_order(tmp_path: Path) -> None:
    found = read_labelled(table(tmp_path), need_labels=False, every_part=True)
    assert [example.row for example in found.examples] == list(range(1, 121))


def test_a_column_of_such_a_name_with_other_words_divides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sets.csv"
    rows = [f"a set of {row} spoons in a box,{'old' if row % 2 else 'new'}" for row in range(30)]
    path.write_text("\n".join(["text,set", *rows]))
    found = read_labelled(path)
    assert len(found) == 30
    assert found.label_column == "set"


def test_parts_that_begin_late_are_seen(tmp_path: Path) -> None:
    path = table(tmp_path, ("train", "test"), rows=400)
    assert len(read_labelled(path, split="test")) == 400


def test_rows_without_cells_are_told_once(tmp_path: Path) -> None:
    path = table(tmp_path)
    path.write_text(path.read_text() + "too,few\n")
    left_out = [read_labelled(path, split=split).problems.total for split in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert left_out == [1, 0, 0]


def test_histories_and_inspections_know_parts(tmp_path: Path) -> None:
    path = tmp_path / "seen.csv"
    rows = [f"u{row % 7},i{row % 11},{row},{'train' if row < 60 else 'test'}" for row in range(80)]
    path.write_text("\n".join(["user,item,time,split", *rows]))
    assert read_histories(path, split="train").facts["events"] == 60
    said = str(inspect(table(tmp_path)))
    assert 'rows: those of which column "Split" says test' in said
    assert said.count("pumps.csv") == 4
    assert "1 files · 120 usable rows" in said


def test_rows_of_no_part_in_a_file_of_one_stay_with_it(tmp_path: Path) -> None:
    table(tmp_path, ("train", "test")).rename(tmp_path / "test.csv")
    lines = (tmp_path / "test.csv").read_text().splitlines()
    (tmp_path / "test.csv").write_text("\n".join(line.replace(",train", ",") for line in lines))
    (tmp_path / "train.csv").write_text("note,state\nthe pump in this hall was never seen,good\n")
    texts = [example.text for example in read_documents(tmp_path, problems=Problems())]
    assert texts == ["the pump in this hall was never seen"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("Training set", "Test set"), {"train", "test"}),
        (("train", "test_matched", "test_mismatched"), {"train", "test"}),
        (("train", "eval"), {"train", "validation"}),
        (("train", "holdout"), {"train", "test"}),
    ],
)
def test_one_word_of_a_cell_tells_the_part(
    tmp_path: Path, cells: tuple[str, ...], expected: set[str]
) -> None:
    rows = [f"the pump in hall {row} of {cell},{cell}" for cell in cells for row in range(5)]
    (tmp_path / "a.csv").write_text("\n".join(["note,subset", *rows]))
    assert {source.split for source in in_parts(find_sources(tmp_path / "a.csv"))} == expected


def test_parts_behind_many_rows_of_none_are_seen(tmp_path: Path) -> None:
    rows = [f"the pump in hall {row},unsupervised" for row in range(400)]
    rows += [f"the pump in hall {row} again,{part}" for part in ("train", "test") for row in range(20)]
    (tmp_path / "a.csv").write_text("\n".join(["note,split", *rows]))
    problems = Problems()
    assert len(list(read_documents(tmp_path / "a.csv", problems=problems))) == 420
    assert problems.notes["file(s), or parts of tables, named as test parts passed over"] == 1


def test_all_events_of_a_user_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "seen.csv"
    rows = [f"u{row % 7},i{row % 11},{row},{'train' if row < 60 else 'test'}" for row in range(80)]
    path.write_text("\n".join(["user,item,time,split", *rows]))
    asked = list(read_rows(str(path), Asking("histories", ("items",)), Problems()))
    assert (
        sum(len(json.loads(row.texts[0])) for part in asked for row in part if isinstance(row, Example)) == 80
    )


def test_the_column_itself_is_neither_text_nor_label_and_that_is_said(tmp_path: Path) -> None:
    path = table(tmp_path)
    for columns in ({"label": "Split"}, {"text": "Split"}):
        with pytest.raises(BadDataError, match='column "Split" says which part each row belongs to'):
            read_labelled(path, split="train", **columns)  # type: ignore[arg-type]
    with pytest.raises(
        MissingInputError, match=r'no row of .*pumps.csv is of the part to learn from by its column "Split"'
    ):
        build_pool([table(tmp_path, ("dev", "test"))], cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"text,label\nthe set of pumps, and a part of it\n", False),
        (b"text,split\n", True),
        (b"split,text\r\n", True),
        (b"text\tsplit\tlabel\n", True),
        (b"a,b,fold\r\n", True),
        (b'"Split";"a"\n', True),
        (b'{"text": "a pump", "subset": "x"}', True),
        (b"\xef\xbb\xbfsplit,text\n", True),
        ("text,split\n".encode("utf-16"), True),
        (b"a,split", True),
    ],
)
def test_tables_are_opened_for_their_parts_where_they_may_have_some(head: bytes, expected: bool) -> None:
    assert may_have_parts(head) is expected
