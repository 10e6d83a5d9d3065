"""A column of a table that says which part each row belongs to."""

from pathlib import Path

import pytest

from headwater.data.inspection import inspect
from headwater.data.pool import build_pool
from headwater.data.problems import Problems
from headwater.data.readers import read_documents, read_labelled
from headwater.data.readers.histories import read_histories
from headwater.errors import MissingInputError

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
    assert any('part of each row in column "Split"' in note for note in found.problems.notes)


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
