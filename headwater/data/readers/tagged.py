"""Sentences with a tag for each word, one word a line (CoNLL, BIO files), as a table of two columns."""

from collections.abc import Iterator, Sequence

from headwater.data.decoding import flaw, read_pieces
from headwater.data.files import Source
from headwater.data.readers.delimited import MAX_LINE_CHARACTERS, whole_lines
from headwater.data.readers.table import Row, Table

TOKENS, TAGS = "tokens", "tags"
_BLANK_IN_A_WORD = "\u00a0"  # a word may hold a blank; words stand apart by one
_DOCUMENT = "-DOCSTART-"


class TaggedTable(Table):
    """One sentence a row: its words and their tags, blanks between them.

    A line is a word and its tag, the first and the last of its columns; a blank line ends a sentence. A sentence with
    a line that has no tag is left out and named.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = source.path
        self.columns = (TOKENS, TAGS)
        self.facts = {"layout": "a word and its tag a line, a blank line after each sentence"}

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All sentences with the cells of these columns, in this order."""
        for number, (words, tags, problem, detail) in enumerate(self._sentences(), start=1):
            if problem:
                yield Row(number, (), problem, detail)
                continue
            cells = {TOKENS: " ".join(words), TAGS: " ".join(tags)}
            yield Row(number, tuple(cells.get(column) for column in columns))

    def _sentences(self) -> Iterator[tuple[list[str], list[str], str, str]]:
        words: list[str] = []
        tags: list[str] = []
        problem = detail = ""
        for line in self._lines():
            if line is not None and not line.strip():
                if words or problem:
                    yield words, tags, problem, detail
                words, tags, problem, detail = [], [], "", ""
                continue
            parts = [] if line is None else line.split("\t") if "\t" in line else line.split()
            reason = "line too long" if line is None else flaw(line)
            if not reason and len(parts) < 2:
                reason = "word without a tag"
            if reason:
                problem, detail = problem or reason, detail or (line or "")[:40].strip()
            elif parts[0] != _DOCUMENT:
                words.append(parts[0].strip().replace(" ", _BLANK_IN_A_WORD) or _BLANK_IN_A_WORD)
                tags.append(parts[-1].strip())
        if words or problem:
            yield words, tags, problem, detail

    def _lines(self) -> Iterator[str | None]:
        with self._source.open() as stream:
            yield from whole_lines(read_pieces(stream, self._source.encoding.codec, MAX_LINE_CHARACTERS))
