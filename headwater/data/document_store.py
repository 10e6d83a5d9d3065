"""The distinct documents of a corpus on disk, each with its place in the user's files: any of them at any time.

The file is an ordinary Arrow IPC file of the columns ``path``, ``row`` and ``text``, memory-mapped.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow  # pyright: ignore[reportMissingTypeStubs]

from headwater.data.examples import Example
from headwater.data.grouping import grouped
from headwater.data.problems import Problems

pa: Any = pyarrow  # it ships no types

REPEATED = "documents passed over, since each repeats an earlier one"
_DOCUMENTS_A_BLOCK = 1024


class DocumentStore:
    """Texts by number, in the order in which they were read; of equal texts only the first is here."""

    def __init__(self, table: Any) -> None:
        self._table = table

    @classmethod
    def open(cls, path: Path) -> "DocumentStore":
        """Map the documents into memory."""
        return cls(pa.ipc.open_file(pa.memory_map(str(path))).read_all())

    @classmethod
    def write(cls, path: Path, examples: Iterable[Example], problems: Problems) -> "DocumentStore":
        """Write documents as they come; those that were there before are left out and noted."""
        schema = pa.schema([("path", pa.string()), ("row", pa.int64()), ("text", pa.large_string())])
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for group in grouped(
                _distinct(examples, problems), _DOCUMENTS_A_BLOCK, lambda example: len(example.text)
            ):
                columns = zip(*((one.path, one.row, one.text) for one in group), strict=True)
                arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
                writer.write(pa.record_batch(arrays, schema))
        return cls.open(path)

    def __len__(self) -> int:
        return self._table.num_rows

    def __getitem__(self, number: int) -> Example:
        path, row, text = (column[number].as_py() for column in self._table.columns)
        return Example((text,), None, path, row)

    def texts(self) -> Iterator[str]:
        """All texts, in order."""
        for part in self._table.column("text").chunks:
            yield from part.to_pylist()


def _distinct(examples: Iterable[Example], problems: Problems) -> Iterator[Example]:
    seen: set[bytes] = set()
    for example in examples:
        digest = hashlib.blake2b(example.text.encode(), digest_size=16).digest()
        if digest in seen:
            problems.note(REPEATED)
        else:
            seen.add(digest)
            yield example
