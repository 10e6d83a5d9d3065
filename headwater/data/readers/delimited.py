"""Comma- and tab-separated tables, read so that one bad row never takes another with it.

The format has no standard that files keep (RFC 4180 names the common one), so the delimiter, the header and
whether quotes are in use are decided per file from a sample, and stated. Quoted records are parsed strictly:
a lenient parser glues rows together at a stray quote and says nothing.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import BinaryIO, NamedTuple

from headwater.data.archives import until_damage
from headwater.data.characters import WITHOUT_BLANKS
from headwater.data.decoding import Piece, flaw, read_pieces
from headwater.data.files import Source
from headwater.data.readers.table import Row, Table, distinct_names

MAX_LINE_CHARACTERS = 1 << 24
MAX_RECORD_LINES = 10_000

Line = str | None
"""A line, or None for one that is longer than ``MAX_LINE_CHARACTERS``."""

_SAMPLE_LINES = 2000
_SAMPLE_CHARACTERS = 1 << 22
_DELIMITERS = {"csv": ",;\t|", "tsv": "\t,;|"}
_NO_DELIMITER = "\x1f"
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", _NO_DELIMITER: "none (one column)"}
_LONGEST_NAME = 80
_OFTEN = 0.02
"""Of the rows that hold a value, from which on the same cell in the first row is no name."""
_WORDS_OF_A_SENTENCE = 5
"""Or as many Chinese or Japanese characters, twice over; no name of a column has so many."""
_parts_of_sentences = re.compile(rf"[{WITHOUT_BLANKS}]{{2}}|[^\s{WITHOUT_BLANKS}]+")
_said = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_number = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")


class Dialect(NamedTuple):
    """How the lines of one file are cut into cells."""

    delimiter: str
    quoting: bool


class Record(NamedTuple):
    """Cells, or the reason why these lines gave none."""

    cells: list[str]
    problem: str = ""
    detail: str = ""


class DelimitedTable(Table):
    """A CSV or TSV file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = source.path
        sample = self._sample()
        said = _said_delimiter(sample)
        self._ahead = int(said is not None)
        delimiters, sample = said or _DELIMITERS[source.kind], sample[self._ahead :]
        self.dialect = guess_dialect(sample, delimiters, quoted=source.kind == "csv")
        records = [record.cells for record in split_records(sample, self.dialect) if record.cells]
        first = records[0] if records else list[str]()
        self._has_header = is_header(first, records[1:])
        self._width = len(first)
        self.columns = distinct_names(first if self._has_header else [""] * len(first))
        self.facts = {
            "delimiter": _NAMES.get(self.dialect.delimiter, self.dialect.delimiter),
            "quotes": "enclose cells" if self.dialect.quoting else "are ordinary characters",
            "header": "first row" if self._has_header else "none",
        }

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows with the cells of these columns, in this order."""
        places = self.places(columns)
        header_ahead = self._has_header
        number = 0
        with self._source.open() as stream:
            for record in split_records(islice(self._lines(stream), self._ahead, None), self.dialect):
                if header_ahead and record.cells:
                    header_ahead = False
                    continue
                number += 1
                yield self._row(number, record, places)

    def _row(self, number: int, record: Record, places: Sequence[int]) -> Row:
        cells = record.cells
        if record.problem:
            return Row(number, (), record.problem, record.detail)
        if len(cells) != self._width:
            return Row(number, (), "wrong number of cells", f"{len(cells):,} instead of {self._width:,}")
        return Row(number, tuple([cells[place] for place in places]))

    def _lines(self, stream: BinaryIO) -> Iterator[Line]:
        return whole_lines(read_pieces(stream, self._source.encoding.codec, MAX_LINE_CHARACTERS))

    def _sample(self) -> list[str]:
        lines: list[str] = []
        size = 0
        with self._source.open() as stream:
            for line in islice(until_damage(self._lines(stream)), _SAMPLE_LINES):
                lines.append(line or "")
                size += len(lines[-1])
                if size > _SAMPLE_CHARACTERS:
                    break
        return lines


def whole_lines(pieces: Iterable[Piece]) -> Iterator[Line]:
    """The lines that are in one piece; None for each that is not."""
    for piece in pieces:
        if piece.begins:
            yield piece.text if piece.ends else None


def split_records(lines: Iterable[Line], dialect: Dialect) -> Iterator[Record]:
    """The records of these lines. Blank lines are no records.

    A quote that opens and never closes would swallow the rest of the file. So a record that does not parse
    strictly, or that spans several lines and then has not the width of the first, costs its first line alone.
    """
    rest = _Lines(lines)
    width = 0
    for line in rest:
        if line == "":
            continue
        if line is None:
            yield Record([], "line too long", f"more than {MAX_LINE_CHARACTERS:,} characters")
            continue
        if dialect.quoting and '"' in line:
            record = _quoted_record(line, rest, dialect.delimiter, width)
        elif reason := flaw(line):
            record = Record([], reason)
        else:
            record = Record(line.split(dialect.delimiter))
        width = width or len(record.cells)
        yield record


class _Lines:
    """An iterator of lines that can be given back."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._returned: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._returned.popleft() if self._returned else next(self._lines)

    def give_back(self, lines: Sequence[Line]) -> None:
        self._returned.extendleft(reversed(lines))


def _quoted_record(line: str, rest: _Lines, delimiter: str, width: int) -> Record:
    more: list[Line] = []

    def feed() -> Iterator[str]:
        yield line + "\n"
        for following in islice(rest, MAX_RECORD_LINES):
            more.append(following)
            if following is None:
                return
            yield following + "\n"

    # The limit belongs to the whole process: it may be raised, never lowered under someone else's feet.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_CHARACTERS))
    try:
        cells = next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        rest.give_back(more)
        return Record([], "bad quotes", str(error))
    if more and width and len(cells) != width:
        rest.give_back(more)
        return Record([], "bad quotes", f"the quote closes {len(more):,} lines further on")
    if reason := next(filter(None, map(flaw, cells)), None):
        return Record([], reason)
    return Record(cells)


def guess_dialect(sample: Sequence[str], delimiters: str, *, quoted: bool) -> Dialect:
    """The dialect under which the fewest sampled lines are flawed.

    ``delimiters`` stand in the order of preference; ``quoted`` breaks a tie between quotes that enclose cells
    and quotes that are ordinary characters.
    """
    header = next((line for line in sample if line), "")
    present = [delimiter for delimiter in delimiters if delimiter in header] or [_NO_DELIMITER]
    dialects = [Dialect(delimiter, quoting) for delimiter in present for quoting in (quoted, not quoted)]
    scores = {dialect: _flawed_lines(sample, dialect) for dialect in dialects}
    return min(dialects, key=lambda dialect: scores[dialect])


def is_header(first: Sequence[str], following: Sequence[Sequence[str]] = ()) -> bool:
    """A first row names columns unless one of its cells is a number, or as long as a text, or it reads as a row.

    Numbers that count the columns (0, 1, 2, …) are names after all. It reads as a row where each of its cells is a
    value that stands in its column again and again ("good", "bad"), or a sentence, and one at least is such a value;
    whole headers between the rows of files that were joined do not count.
    """
    if [cell.strip() for cell in first] == [str(number) for number in range(len(first))]:
        return True
    if any(_number.fullmatch(cell) or len(cell) > _LONGEST_NAME for cell in first):
        return False
    rows = [row for row in following if row != first and len(row) == len(first)]
    often = max(2, _OFTEN * len(rows))
    again = [sum(row[place] == cell for row in rows) >= often for place, cell in enumerate(first)]
    return not any(again) or not all(
        value or _is_sentence(cell) for value, cell in zip(again, first, strict=True)
    )


def _is_sentence(cell: str) -> bool:
    """Longer than a name, and no question: these stand above the answers of a survey."""
    asks = cell.strip().endswith(("?", "？", ":", "："))
    return not asks and len(_parts_of_sentences.findall(cell)) >= _WORDS_OF_A_SENTENCE


def _said_delimiter(sample: Sequence[str]) -> str | None:
    """The delimiter that a first line ``sep=;`` names, as Excel writes and reads it."""
    found = _said.fullmatch(sample[0]) if sample else None
    return found and found[1]


def _flawed_lines(sample: Sequence[str], dialect: Dialect) -> int:
    records = list(split_records(sample, dialect))
    width = next((len(record.cells) for record in records if record.cells), 0)
    wrong = sum(len(record.cells) != width for record in records)
    against = _ordinary_quotes if dialect.quoting else _enclosing_quotes
    return wrong + sum(against(line, dialect.delimiter) for line in sample if '"' in line)


def _ordinary_quotes(line: str, delimiter: str) -> bool:
    """A cell with a quote inside but none around it: whoever encloses cells would have enclosed this one."""
    cells = (cell.replace('""', "") for cell in line.split(delimiter))
    return any('"' in cell and cell[0] != '"' and cell[-1] != '"' for cell in cells)


def _enclosing_quotes(line: str, delimiter: str) -> bool:
    """A cell with quotes around it and doubled ones inside, or a line whose cells are all enclosed."""
    enclosed = [cell for cell in line.split(delimiter) if len(cell) > 1 and cell[0] == '"' == cell[-1]]
    return any('""' in cell[1:-1] for cell in enclosed) or len(enclosed) > line.count(delimiter)
