"""Plain text → documents, in constant memory however long a line or a document is."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple, get_args

from headwater.data.archives import until_damage
from headwater.data.decoding import Piece, flaw, read_pieces
from headwater.data.files import Source
from headwater.data.problems import Problems
from headwater.errors import SettingsError

DocumentRule = Literal["file", "line", "block"]
MAX_DOCUMENT_CHARACTERS = 1 << 20
"""A longer document is cut into several, and the reader says so."""

_CUT = f"cuts in documents longer than {MAX_DOCUMENT_CHARACTERS:,} characters"
_SAMPLE_LINES = 2000
PROSE = (".md", ".markdown", ".rst")
"""Files whose lines are no documents."""
_SAMPLE_LINE_CHARACTERS = 10_000
_MANY_FILES = 16
_SMALL_FILE = 1 << 16
_ends_sentence = re.compile(r"[.!?。！？…:;\"'”’)」』]\s*$")


class Document(NamedTuple):
    """One document and the line where it begins."""

    row: int
    text: str


def read_text(source: Source, rule: DocumentRule, problems: Problems) -> Iterator[Document]:
    """The documents of a text file: the whole ``file``, each ``line``, or each ``block`` between blank lines.

    Rows are lines that are not blank, each piece of a line longer than a document counted. A line that holds
    undecodable bytes or NUL characters is left out of its document and reported. Documents are cut at 1,048,576
    characters.
    """
    with source.open() as stream:
        pieces = read_pieces(stream, source.encoding.codec, MAX_DOCUMENT_CHARACTERS)
        yield from _GATHER[rule](_usable(pieces, source.path, problems), problems)


def guess_document_rule(source: Source, siblings: Sequence[Source] = ()) -> DocumentRule:
    """What one document is in this file.

    Markdown, and each of sixteen or more small text files: the whole file. A blank line at least every fifty
    lines: blocks. Lines that all end near one width without ending a sentence, many of which go on with a small
    letter where the script has such (a hard-wrapped text, not headlines): the whole file. Otherwise each line.
    """
    texts = [other.size for other in siblings if other.kind == "text"]
    many_small = len(texts) >= _MANY_FILES and sum(texts) < _SMALL_FILE * len(texts)
    if many_small or source.suffix in PROSE:
        return "file"
    with source.open() as stream:
        pieces = read_pieces(stream, source.encoding.codec, _SAMPLE_LINE_CHARACTERS)
        sample = islice(until_damage(pieces), _SAMPLE_LINES)
        lines = [piece.text.strip() for piece in sample if piece.begins]
    inner = "\n".join(lines).strip("\n").split("\n")  # blank lines at the ends separate nothing
    blank = sum(not line for line in inner)
    if blank * 50 >= len(inner):
        return "block"
    return "file" if _hard_wrapped([line for line in inner if line]) else "line"


def checked_rule(rule: str) -> DocumentRule:
    """``rule`` as the user gave it, or a SettingsError."""
    for known in get_args(DocumentRule):
        if rule == known:
            return known
    raise SettingsError(f'document="{rule}" is not a rule; choose "file", "line" or "block"')


def _hard_wrapped(lines: Sequence[str]) -> bool:
    if len(lines) < 10:
        return False
    widths = sorted(map(len, lines))
    widest = widths[-1]
    full = sum(width > 0.75 * widest for width in widths)
    open_ended = sum(_ends_sentence.search(line) is None for line in lines)
    small, capital = (sum(of(line[0]) for line in lines) for of in (str.islower, str.isupper))
    going_on = small >= 0.3 * (small + capital)
    return widest <= 120 and full > 0.6 * len(lines) and open_ended > 0.5 * len(lines) and going_on


def _usable(pieces: Iterable[Piece], path: str, problems: Problems) -> Iterator[Piece]:
    """The pieces that can be used, blank lines included; the rest of a line with a flaw is left out."""
    flawed = 0
    for piece in pieces:
        if flawed == piece.number:
            continue
        problems.rows += not _is_blank(piece)  # a piece that continues a line is a document of its own
        if reason := flaw(piece.text):
            flawed = piece.number
            problems.add(path, piece.number, reason)
        else:
            yield piece


def _is_blank(piece: Piece) -> bool:
    return not piece.text or piece.text.isspace()


def _by_line(pieces: Iterable[Piece], problems: Problems) -> Iterator[Document]:
    for piece in pieces:
        if not piece.begins:
            problems.note(_CUT)
        if not _is_blank(piece):
            yield Document(piece.number, piece.text.strip())


def _by_block(pieces: Iterable[Piece], problems: Problems) -> Iterator[Document]:
    return _gathered(pieces, problems, blank_ends=True)


def _by_file(pieces: Iterable[Piece], problems: Problems) -> Iterator[Document]:
    return _gathered(pieces, problems, blank_ends=False)


def _gathered(pieces: Iterable[Piece], problems: Problems, *, blank_ends: bool) -> Iterator[Document]:
    document: list[Piece] = []
    size = 0
    for piece in pieces:
        ended = blank_ends and piece.begins and _is_blank(piece)
        too_long = size + len(piece.text) + len(document) > MAX_DOCUMENT_CHARACTERS
        if document and (ended or too_long):
            if not ended:
                problems.note(_CUT)
            yield from _document(document)
            document, size = [], 0
        document.append(piece)
        size += len(piece.text)
    yield from _document(document)


def _document(pieces: Sequence[Piece]) -> Iterator[Document]:
    text = "".join(piece.text + "\n" * piece.ends for piece in pieces).strip()
    if text:
        yield Document(next(piece.number for piece in pieces if not _is_blank(piece)), text)


_GATHER: dict[DocumentRule, Callable[[Iterable[Piece], Problems], Iterator[Document]]] = {
    "line": _by_line,
    "block": _by_block,
    "file": _by_file,
}
