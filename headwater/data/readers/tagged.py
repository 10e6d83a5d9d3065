"""Sentences with a tag for each word, one word a line (CoNLL, BIO files), as a table of two columns."""

from collections.abc import Iterator, Sequence
from itertools import islice

from headwater.data.decoding import flaw, read_pieces
from headwater.data.files import Source
from headwater.data.readers.delimited import MAX_LINE_CHARACTERS, whole_lines
from headwater.data.readers.table import Row, Table
from headwater.data.tags import Scheme, name_spans

TOKENS, TAGS = "tokens", "tags"
_BLANK_IN_A_WORD = "\u00a0"  # a word may hold a blank; words stand apart by one
_DOCUMENT = "-DOCSTART-"
_SAMPLE_LINES = 20_000


class TaggedTable(Table):
    """One sentence a row: its words and their tags, blanks between them.

    A line is a word and its tag, the first and the last of its columns, or the other way round where the first reads
    as tags and the last does not; a blank line ends a sentence. A sentence with a line that has no tag is left out and
    named.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = source.path
        self.columns = (TOKENS, TAGS)
        sample = [parts for line in islice(self._lines(), _SAMPLE_LINES) if len(parts := _cells(line)) > 1]
        self._word, self._tag = 0, -1
        if _tags_stand_first(sample):
            self._word, self._tag = -1, 0
            self.note = "file(s) with the tag before its word (guessed from the values)"
        order = "a tag and its word" if self.note else "a word and its tag"
        self.facts = {"layout": f"{order} a line, a blank line after each sentence"}
        if sample:
            self.facts["tags"] = f"{Scheme.seen_in([[parts[self._tag] for parts in sample]]).name} (guessed)"

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
            parts = _cells(line)
            reason = "line too long" if line is None else flaw(line)
            if not reason and len(parts) < 2:
                reason = "word without a tag"
            if reason:
                problem, detail = problem or reason, detail or (line or "")[:40].strip()
            elif _DOCUMENT not in (parts[0], parts[self._word]):
                words.append(parts[self._word].strip().replace(" ", _BLANK_IN_A_WORD) or _BLANK_IN_A_WORD)
                tags.append(parts[self._tag].strip())
        if words or problem:
            yield words, tags, problem, detail

    def _lines(self) -> Iterator[str | None]:
        with self._source.open() as stream:
            yield from whole_lines(read_pieces(stream, self._source.encoding.codec, MAX_LINE_CHARACTERS))


def _cells(line: str | None) -> list[str]:
    return [] if line is None else line.split("\t") if "\t" in line else line.split()


def _tags_stand_first(sample: Sequence[Sequence[str]]) -> bool:
    """Whether the first column holds the tags: those of spans, or fewer values by far than the last."""
    first, last = ({parts[place].strip() for parts in sample} for place in (0, -1))
    if name_spans(last) or not sample:
        return False
    return name_spans(first) or len(last) > 2 * len(first)
