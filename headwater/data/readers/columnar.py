"""Parquet and Arrow (Feather) tables, read batch by batch."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, cast

import pyarrow  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet  # pyright: ignore[reportMissingTypeStubs]

from headwater.data.decoding import flaw
from headwater.data.files import Source
from headwater.data.readers.json_rows import as_cell
from headwater.data.readers.table import Row, Table, distinct_names

pa: Any = pyarrow  # it ships no types
_BATCH_ROWS = 1024


class ColumnarTable(Table):
    """A Parquet file, or an Arrow file or stream."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = source.path
        with _seekable(source) as stream:
            names = _open(source, stream)[0]
        self.columns = distinct_names(names)
        self.facts: dict[str, str] = {}

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows with the cells of these columns, in this order."""
        places = self.places(columns)
        number = 0
        with _seekable(self._source) as stream:
            for batch in _open(self._source, stream)[1]:
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    part = batch.slice(start, _BATCH_ROWS)
                    cells = [[as_cell(value) for value in part.column(place).to_pylist()] for place in places]
                    for row in zip(*cells, strict=True):
                        number += 1
                        reason = next(filter(None, (flaw(cell) for cell in row if cell)), None)
                        yield Row(number, () if reason else row, reason or "")


def _seekable(source: Source) -> BinaryIO:
    """These formats are read from their end, so a packed file is unpacked into an unnamed temporary one."""
    stream = source.open()
    if source.compression is None:
        return stream
    unpacked = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
    with stream, ExitStack() as on_failure:
        on_failure.callback(unpacked.close)
        shutil.copyfileobj(stream, unpacked, 1 << 20)
        on_failure.pop_all()
    unpacked.seek(0)
    return unpacked


def _open(source: Source, stream: BinaryIO) -> tuple[list[str], Iterator[Any]]:
    if source.kind == "parquet":
        file: Any = pyarrow.parquet.ParquetFile(stream)
        return file.schema_arrow.names, file.iter_batches(batch_size=_BATCH_ROWS)
    magic = stream.read(6)
    stream.seek(0)
    if magic == b"ARROW1":
        reader = pa.ipc.open_file(stream)
        return reader.schema.names, (reader.get_batch(number) for number in range(reader.num_record_batches))
    reader = pa.ipc.open_stream(stream)
    return reader.schema.names, iter(reader)
