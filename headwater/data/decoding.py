"""From bytes to lines of text, in constant memory."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from headwater.data.archives import until_damage
from headwater.data.encodings import Encoding, marked_encoding, of_ascii, of_sample

SAMPLE_BYTES = 1 << 20
_ASCII_SCAN_BYTES = 1 << 26
_PART_BYTES = 1 << 13

UNDECODABLE = "\udc80"
"""Stands where bytes could not be decoded. Well-formed text never decodes to a lone surrogate."""


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error("headwater.mark", _mark)


class Piece(NamedTuple):
    """A line, or one part of a line that is longer than the limit."""

    number: int  # of the line, from 1
    text: str  # without its line break
    begins: bool
    ends: bool


def sniff_encoding(stream: BinaryIO) -> Encoding:
    """What the bytes themselves say, else what the user says; of the first mebibyte that holds more than ASCII.

    At most 64 MiB are searched.
    """
    blocks = _blocks(stream)
    head = next(blocks, b"")
    if marked := marked_encoding(head):
        return marked
    sample, seen = head, len(head)
    while sample.isascii() and seen < _ASCII_SCAN_BYTES and (more := next(blocks, b"")):
        sample, seen = more, seen + len(more)
    if sample.isascii():
        return of_ascii()
    return of_sample(sample)


def read_pieces(stream: BinaryIO, codec: str, limit: int) -> Iterator[Piece]:
    """The lines of a stream, those longer than ``limit`` characters in several pieces.

    Lines end at LF, CR LF or a lone CR, and nowhere else (``str.splitlines`` would also break at U+2028, form
    feeds and five more characters that stand inside texts).
    """
    text = io.TextIOWrapper(stream, encoding=codec, errors="headwater.mark", newline=None)
    number, begins = 0, True
    try:
        while piece := text.readline(limit):
            number += begins
            ends = piece[-1] == "\n" or len(piece) < limit
            yield Piece(number, piece[:-1] if piece[-1] == "\n" else piece, begins, ends)
            begins = ends
    finally:
        if not stream.closed:
            text.detach()  # the stream belongs to the caller


def flaw(text: str) -> str | None:
    """Why this text cannot be used as text, or None."""
    if UNDECODABLE in text:
        return "undecodable bytes"
    if "\0" in text:
        return "NUL characters"
    if not text.isascii() and not _encodable(text):
        return "lone surrogates"
    return None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of a mebibyte; the last one ends at the end of the file or where it is damaged."""
    block = bytearray()
    for part in until_damage(iter(lambda: stream.read(_PART_BYTES), b"")):
        block += part
        if len(block) >= SAMPLE_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)
