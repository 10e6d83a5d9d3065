"""Standard input line by line, as it comes: whoever keeps it open is answered all the same."""

import codecs
import io
import select
import sys
from collections.abc import Iterator
from typing import BinaryIO, cast

from headwater.data.encodings import named_encoding
from headwater.errors import UsageError

_CHUNK = 1 << 16
_MORE_WITHIN = 0.05
"""Seconds that further lines are waited for, so that many which come one by one are read together."""


def lines_as_they_come(most: int) -> Iterator[list[str]]:
    """Lines without their breaks, at most so many at a time: those that are there when the ones before are answered.

    They are read as UTF-8 whatever the locale says, or as the encoding that the user named; what cannot be decoded is
    marked, so that one bad byte costs one line. Raises UsageError where standard input is closed.
    """
    stream = _bytes_of_standard_input()
    waiting: list[str] = []
    for lines in _lines(stream):
        waiting += lines
        while len(waiting) >= most or (waiting and not _more_comes(stream)):
            yield waiting[:most]
            waiting = waiting[most:]
    for start in range(0, len(waiting), most):
        yield waiting[start : start + most]


def _bytes_of_standard_input() -> BinaryIO:
    stream = cast(io.TextIOBase | None, sys.stdin)
    if stream is None:
        raise UsageError(
            "standard input is closed; name a file, or hand rows over: headwater predict RUN - < rows.txt"
        )
    if isinstance(stream, io.TextIOWrapper):
        return cast(BinaryIO, stream.buffer)
    return io.BytesIO(stream.read().encode("utf-8", "surrogatepass"))


def _lines(stream: BinaryIO) -> Iterator[list[str]]:
    """The lines that each reading completes."""
    named = named_encoding()
    decoder = codecs.getincrementaldecoder(named.codec if named else "utf-8-sig")("headwater.mark")
    text = io.IncrementalNewlineDecoder(decoder, translate=True)
    begun: list[str] = []
    while chunk := cast(io.BufferedReader, stream).read1(_CHUNK):
        *complete, rest = text.decode(chunk).split("\n")
        if complete:
            complete[0] = "".join(begun) + complete[0]
            begun = []
            yield complete
        begun.append(rest)
    if last := "".join(begun) + text.decode(b"", final=True):
        yield last.removesuffix("\n").split("\n")


def _more_comes(stream: BinaryIO) -> bool:
    try:
        return bool(select.select([stream], [], [], _MORE_WITHIN)[0])
    except (OSError, ValueError):  # nothing that can be waited for
        return True
