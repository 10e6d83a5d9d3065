"""Documents on disk: their text and place, equal ones once."""

from pathlib import Path

import pyarrow as pa

from headwater.data.document_store import REPEATED, DocumentStore
from headwater.data.examples import Example
from headwater.data.problems import Problems

ROWS = [
    Example(("one text",), None, "a.csv", 1),
    Example(("a title", "and a body"), None, "a.csv", 2),
    Example(("one text",), None, "b.csv", 7),
    Example(("最后一行",), None, "b.csv", 9),
]


def test_documents_come_back_with_their_place(tmp_path: Path) -> None:
    store = DocumentStore.write(tmp_path / "documents.arrow", ROWS, Problems())
    assert [store[number] for number in range(len(store))] == [
        Example(("one text",), None, "a.csv", 1),
        Example(("a title\nand a body",), None, "a.csv", 2),
        Example(("最后一行",), None, "b.csv", 9),
    ]
    assert list(store.texts()) == ["one text", "a title\nand a body", "最后一行"]


def test_a_repeated_document_is_noted_and_the_first_one_stands(tmp_path: Path) -> None:
    problems = Problems()
    DocumentStore.write(tmp_path / "documents.arrow", ROWS, problems)
    assert problems.notes == {REPEATED: 1}


def test_other_arrow_readers_understand_the_file(tmp_path: Path) -> None:
    DocumentStore.write(tmp_path / "documents.arrow", ROWS, Problems())
    table = pa.ipc.open_file(str(tmp_path / "documents.arrow")).read_all()
    assert table.column("row").to_pylist() == [1, 2, 9]
