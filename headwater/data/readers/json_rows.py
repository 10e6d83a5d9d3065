"""JSON tables: one object a line, or one array of objects, read in constant memory."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from headwater.data.archives import until_damage
from headwater.data.decoding import Piece, flaw, read_pieces
from headwater.data.files import Source
from headwater.data.readers.delimited import MAX_LINE_CHARACTERS, whole_lines
from headwater.data.readers.table import Cell, Row, Table

_SAMPLE_ROWS = 1000
_WINDOW = 1 << 16
_BETWEEN = " \t\r\n,"
_bracket = re.compile(r"\s*\[")
_decoder = json.JSONDecoder()


class Parsed(NamedTuple):
    """One element of the file, or the reason why it is none."""

    value: dict[str, Any]
    problem: str = ""
    detail: str = ""


class JsonTable(Table):
    """Objects as rows; the columns are the names seen in the first thousand objects, as they appear."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = source.path
        with source.open() as stream:
            first = next(until_damage(read_pieces(stream, source.encoding.codec, _WINDOW)), None)
        self._is_array = first is not None and first.text.lstrip().startswith("[")
        names: dict[str, None] = {}
        for parsed in islice(until_damage(self._parsed()), _SAMPLE_ROWS):
            names.update(dict.fromkeys(parsed.value))
        self.columns = tuple(names)
        self.facts = {"layout": "one array" if self._is_array else "one object a line"}

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows with the cells of these columns, in this order."""
        for number, (value, problem, detail) in enumerate(self._parsed(), start=1):
            if problem:
                yield Row(number, (), problem, detail)
                continue
            cells = tuple([as_cell(value.get(column)) for column in columns])
            reason = next(filter(None, (flaw(cell) for cell in cells if cell)), None)
            yield Row(number, () if reason else cells, reason or "")

    def _parsed(self) -> Iterator[Parsed]:
        return array_elements(self._source) if self._is_array else self._lines()

    def _lines(self) -> Iterator[Parsed]:
        with self._source.open() as stream:
            for line in whole_lines(read_pieces(stream, self._source.encoding.codec, MAX_LINE_CHARACTERS)):
                if line is None:
                    yield Parsed({}, "line too long", f"more than {MAX_LINE_CHARACTERS:,} characters")
                elif line and not line.isspace():
                    yield _object(line)


def head_of(source: Source) -> str:
    """The first 64 thousand characters of a file, or a line more."""
    with source.open() as stream:
        return _next_window(until_damage(read_pieces(stream, source.encoding.codec, _WINDOW)))


def array_elements(source: Source, opening: re.Pattern[str] = _bracket) -> Iterator[Parsed]:
    """The elements of one array, decoded one after another from a window of the file.

    ``opening`` is all that stands before the first element, the bracket included.
    """
    with source.open() as stream:
        pieces = read_pieces(stream, source.encoding.codec, _WINDOW)
        window = opening.sub("", _next_window(pieces), count=1)
        while not (window := window.lstrip(_BETWEEN)).startswith("]"):
            parsed, window = _next_element(window, pieces)
            yield parsed
            if not window:
                return


def _next_element(window: str, pieces: Iterator[Piece]) -> tuple[Parsed, str]:
    """The element at the start of the window, read on until it is whole, and what follows it."""
    while True:
        value, end, error = None, 0, ""
        try:
            value, end = _decoder.raw_decode(window)
        except (ValueError, RecursionError) as failure:
            error = str(failure)
        if 0 < end < len(window):
            return _checked(value), window[end:]
        more = _next_window(pieces) if len(window) < MAX_LINE_CHARACTERS else ""
        if not more:
            # Nothing tells where the next element begins, so the rest of the file is lost.
            detail = error or "the array is not closed"
            return Parsed({}, "invalid JSON, the rest of the array is not read", detail), ""
        window += more


def as_cell(value: Any) -> Cell:
    """A value of a typed table as text; None for what is missing (NaN as well) or binary."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes) or value != value:  # only NaN differs from itself
        return None
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _next_window(pieces: Iterator[Piece]) -> str:
    """About 64 thousand characters more, so that an element of many lines is not tried after each of them."""
    parts: list[str] = []
    size = 0
    for piece in pieces:
        parts.append(piece.text + "\n" * piece.ends)
        size += len(parts[-1])
        if size >= _WINDOW:
            break
    return "".join(parts)


def _object(line: str) -> Parsed:
    # Only the marks of bytes that were not decoded: a NUL or a surrogate can also come out of an escape.
    if reason := flaw(line):
        return Parsed({}, reason)
    try:
        return _checked(json.loads(line))
    except (ValueError, RecursionError) as error:
        return Parsed({}, "invalid JSON", str(error))


def _checked(value: Any) -> Parsed:
    if isinstance(value, dict):
        return Parsed(value)
    return Parsed({}, "not a JSON object", type(value).__name__)
