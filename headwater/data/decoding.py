"""From bytes to lines of text: which encoding a file is in, and its lines in constant memory."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from headwater.data.archives import until_damage

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

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its first half
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_usual = re.compile("[\t\n\r -~\u00a0-\u04ff\u2010-\u2030\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")
_two_bytes = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_two_high_bytes = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")


class Encoding(NamedTuple):
    """A codec and what spoke for it."""

    codec: str
    evidence: str


class Piece(NamedTuple):
    """A line, or one part of a line that is longer than the limit."""

    number: int  # of the line, from 1
    text: str  # without its line break
    begins: bool
    ends: bool


def sniff_encoding(stream: BinaryIO) -> Encoding:
    """Decide from the first mebibyte that holds more than ASCII (at most 64 MiB are searched)."""
    blocks = _blocks(stream)
    head = next(blocks, b"")
    for mark, codec in _BOMS:
        if head.startswith(mark):
            return Encoding(codec, "byte order mark")
    if codec := _utf16_without_mark(head):
        return Encoding(codec, "distribution of its bytes")
    sample, seen = head, len(head)
    while sample.isascii() and seen < _ASCII_SCAN_BYTES and (more := next(blocks, b"")):
        sample, seen = more, seen + len(more)
    if sample.isascii():
        return Encoding("utf-8", "only ASCII seen")
    return _from_lines(sample)


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


def _utf16_without_mark(head: bytes) -> str | None:
    head = head[: len(head) // 2 * 2]
    if len(head) < 4:
        return None
    for codec, high in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        low = head[0::2] if codec == "utf-16-le" else head[1::2]
        if high.count(0) > 0.3 * len(high) and low.count(0) < 0.05 * len(low):
            return codec
    if not _is_utf8(head):
        for codec in ("utf-16-le", "utf-16-be"):
            text = head.decode(codec, "replace")
            if len(_usual.findall(text)) > 0.9 * len(text):
                return codec
    return None


def _is_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # not final: the sample may cut a character
    except UnicodeDecodeError:
        return False
    return True


def _from_lines(sample: bytes) -> Encoding:
    """UTF-8 or GB18030, by what most lines with bytes beyond ASCII are."""
    if _is_utf8(sample):
        return Encoding("utf-8", "valid UTF-8")
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    other = [line for line in lines if not _is_utf8(line)]
    chinese = [line for line in other if _decodes(line, "gb18030")]
    if len(chinese) > len(lines) / 2 and _has_common_characters(b"\n".join(chinese)):
        return Encoding("gb18030", f"{len(chinese):,} of {len(lines):,} sampled lines")
    return Encoding("utf-8", f"{len(lines) - len(other):,} of {len(lines):,} sampled lines")


def _decodes(line: bytes, codec: str) -> bool:
    try:
        line.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _has_common_characters(lines: bytes) -> bool:
    """Mostly the common characters of GB18030, whose two bytes are both high.

    Without this test a French text in Windows-1252 would pass as rare Chinese characters.
    """
    pairs = _two_bytes.findall(lines)
    common = sum(_two_high_bytes.match(pair) is not None for pair in pairs)
    return common > 0.8 * len(pairs)
