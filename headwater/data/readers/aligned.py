"""Parallel text in several files (train.en beside train.de), line by line, as a table of one column a language."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import PurePath

from headwater.data.decoding import flaw, read_pieces
from headwater.data.files import Source
from headwater.data.kinds import language_of
from headwater.data.readers.delimited import MAX_LINE_CHARACTERS, whole_lines
from headwater.data.readers.table import Row, Table
from headwater.errors import BadDataError

_ENDED = "\0"  # stands in no usable line


class AlignedTable(Table):
    """One row a line number: the same sentence in each language, the named file's language first.

    Raises BadDataError at the end where one file has more lines than another: nobody knows from which line on the
    sentences no longer belong together.
    """

    all_text = True

    def __init__(self, source: Source) -> None:
        self._sources = (source, *source.beside)
        self.path = source.path
        self.columns = tuple(language_of(source.file.name) or source.path for source in self._sources)
        others = ", ".join(PurePath(other.path).name for other in source.beside)
        self.facts = {"layout": f"one sentence a line, the same in {others}"}

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All lines with the cells of these columns, in this order."""
        places = self.places(columns)
        counts = Counter[str]()
        lines = zip_longest(*map(_lines, self._sources), fillvalue=_ENDED)
        for number, cells in enumerate(lines, start=1):
            if _ENDED in cells:
                self._count_the_rest(cells, lines, number, counts)
                sizes = ", ".join(f"{name} {counts[name]:,}" for name in self.columns)
                raise BadDataError(
                    f"{' and '.join(source.path for source in self._sources)} have not as many lines: {sizes}; "
                    "files of parallel text hold one sentence a line, the same in each: mend the line where they part"
                )
            asked = [cells[place] for place in places]
            if None in asked:
                yield Row(number, (), "line too long", f"more than {MAX_LINE_CHARACTERS:,} characters")
            elif reason := next(filter(None, (flaw(cell) for cell in asked if cell)), None):
                yield Row(number, (), reason)
            else:
                yield Row(number, tuple(asked))

    def _count_the_rest(
        self,
        cells: tuple[str | None, ...],
        lines: Iterator[tuple[str | None, ...]],
        number: int,
        counts: Counter[str],
    ) -> None:
        counts.update(dict.fromkeys(self.columns, number - 1))
        for left in (cells, *lines):
            counts.update(name for name, cell in zip(self.columns, left, strict=True) if cell != _ENDED)


def _lines(source: Source) -> Iterator[str | None]:
    with source.open() as stream:
        yield from whole_lines(read_pieces(stream, source.encoding.codec, MAX_LINE_CHARACTERS))
