"""One source → its examples, every row used or reported."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from headwater.data.archives import READ_FAILURES
from headwater.data.examples import Example
from headwater.data.files import Source
from headwater.data.kinds import Kind, Split
from headwater.data.problems import Problems
from headwater.data.readers.aligned import AlignedTable
from headwater.data.readers.columnar import ColumnarTable
from headwater.data.readers.columns import Columns
from headwater.data.readers.delimited import DelimitedTable
from headwater.data.readers.json_rows import JsonTable
from headwater.data.readers.parts import PartOfTable, may_have_parts, parts_in
from headwater.data.readers.squad import json_table
from headwater.data.readers.table import Table
from headwater.data.readers.tagged import TaggedTable
from headwater.data.readers.text import DocumentRule, read_text
from headwater.errors import BadDataError, UsageError

Row = TypeVar("Row")
MAX_BAD = 0.5
"""The largest share of unusable rows: beyond it the file was most likely misunderstood."""

_FEWEST_ROWS_TO_JUDGE = 20
_WRITTEN: tuple[Kind, ...] = ("csv", "tsv", "jsonl", "json", "tagged", "aligned")
"""Tables that are text, whose columns stand in their first bytes."""
_HEAD_BYTES = 1 << 14
_PARTS: tuple[Split | None, ...] = ("train", "validation", "test", None)
_TABLES: dict[Kind, Callable[[Source], Table]] = {
    "csv": DelimitedTable,
    "tsv": DelimitedTable,
    "jsonl": JsonTable,
    "json": json_table,
    "parquet": ColumnarTable,
    "arrow": ColumnarTable,
    "tagged": TaggedTable,
    "aligned": AlignedTable,
}


def open_table(source: Source) -> Table:
    """The table in this source."""
    table = _TABLES[source.kind](source)
    return PartOfTable(table, source.split_column, source.part) if source.split_column else table


def in_parts(sources: Sequence[Source]) -> list[Source]:
    """The sources; a table whose column says which part each row belongs to once for each of its parts."""
    found: list[Source] = []
    for source in sources:
        parts = _parts_of(source)
        if parts is None:
            found.append(source)
            continue
        column, splits = parts
        # Who names a table of one part means it; of several parts, as of a folder, a command takes its own.
        named = source.named and len(splits) == 1
        found += [
            replace(source, split=split or source.split, split_column=column, part=split, named=named)
            for split in _PARTS
            if split in splits
        ]
    return found


def _parts_of(source: Source) -> tuple[str, set[Split | None]] | None:
    if source.kind not in _TABLES:
        return None
    try:
        if source.kind in _WRITTEN:
            with source.open() as stream:
                if not may_have_parts(stream.read(_HEAD_BYTES)):
                    return None
        return parts_in(open_table(source))
    except READ_FAILURES:
        return None  # whoever reads it meets the damage and reports it


def refuse_columns_of_plain_text(sources: Sequence[Source], text: Sequence[str] | None) -> None:
    """A column that is asked for must be in a table."""
    if text is not None and all(source.kind == "text" for source in sources):
        raise UsageError(
            f"{sources[0].path} is plain text and has no columns; expected a table for --text {','.join(text)}: leave "
            "--text out, or name a csv, tsv, jsonl, parquet or arrow file"
        )


def text_examples(source: Source, rule: DocumentRule, problems: Problems) -> Iterator[Example]:
    """The documents of a text file."""
    for document in read_text(source, rule, problems):
        yield Example((document.text,), None, source.path, document.row)


def table_examples(
    table: Table, columns: Columns, problems: Problems, *, use_label: bool, need_label: bool
) -> Iterator[Example]:
    """The usable rows of a table. A row is left out when all its texts, or a label it needs, are empty."""
    names = [*columns.text, *([columns.label] if use_label and columns.label else [])]
    width = len(columns.text)
    if table.note:
        problems.note(table.note)
    for row in table.rows(names):
        problems.rows += 1
        if row.problem:
            problems.add(table.path, row.number, row.problem, row.detail)
            continue
        cells = [(cell or "").strip() for cell in row.cells]
        label = cells[width] if len(cells) > width else ""
        if not any(cells[:width]):
            problems.add(table.path, row.number, "empty text")
        elif need_label and not label:
            problems.add(table.path, row.number, "empty label")
        else:
            yield Example(tuple(cells[:width]), label or None, table.path, row.number)


def guarded(
    examples: Iterator[Row], source: Source, problems: Problems, *, max_bad: float = MAX_BAD
) -> Iterator[Row]:
    """The examples of one source; damage ends the source and is reported, the rest of the run goes on.

    Raises BadDataError at the end of a source of twenty rows or more, or one the user named, when more than
    ``max_bad`` of its rows are flawed; empty cells are no flaw.
    """
    before_rows, before_bad = problems.rows, problems.flawed
    if source.is_text and source.encoding.note:
        problems.note(source.encoding.note)
    try:
        yield from examples
    except READ_FAILURES as error:
        problems.add(source.path, 0, "file damaged or unreadable", str(error))
    rows, bad = problems.rows - before_rows, problems.flawed - before_bad
    if source.named or rows >= _FEWEST_ROWS_TO_JUDGE:
        refuse_mostly_bad(source.path, rows, bad, problems, max_bad=max_bad)


def refuse_mostly_bad(name: str, rows: int, bad: int, problems: Problems, *, max_bad: float) -> None:
    """Stop where more rows are flawed than ``max_bad`` allows: the file was most likely misunderstood."""
    if bad > max_bad * rows:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in problems.by_reason().items())
        first = "; ".join(map(str, problems.first(3)))
        raise BadDataError(
            f"{name}: {bad:,} of {rows:,} rows cannot be used ({reasons}), more than {max_bad:.0%}. "
            f"First: {first}. Mend the file, or name its columns, or look at it with `headwater inspect`"
        )


def why_nothing(sources: Sequence[Source], problems: Problems) -> str:
    """Why no row came out of these sources, in words."""
    if not sum(source.size for source in sources):
        return "nothing is in there (0 bytes); expected at least one row with a text"
    if not problems.rows:
        return "there is not one row, at most a header; expected at least one row with a text"
    return problems.summary()


def names_of(sources: Sequence[Source]) -> str:
    """The paths of a few sources in one line."""
    paths = list(dict.fromkeys(source.path for source in sources))
    more = len(paths) - 3
    return ", ".join(paths[:3]) + (f" and {more:,} more" if more > 0 else "")
