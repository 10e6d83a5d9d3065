"""Standard input line by line, as it comes: whoever keeps it open is answered all the same."""

import io
import select
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO, cast

from headwater.data.encodings import named_encoding
from headwater.errors import UsageError

_CHUNK = 1 << 16
_MORE_WITHIN = 0.05
"""Seconds that further lines are waited for, so that many which come one by one are read together."""
_MARK = "\ufeff"


def lines_as_they_come(most: int) -> Iterator[list[str]]:
    """Lines without their breaks, at most so many at a time: those that are there when the ones before are answered.

    A line is read as UTF-8 whatever the locale says; one that is none as the encoding that the user named, or else what
    cannot be decoded is marked, so that one bad byte costs one line. Raises UsageError where standard input is closed.
    """
    stream = _bytes_of_standard_input()
    waiting: list[str] = []
    since = 0.0
    for lines in _lines(stream):
        since = since if waiting else time.monotonic()
        waiting += lines
        while len(waiting) >= most or (
            waiting and not _more_comes(stream, since + _MORE_WITHIN - time.monotonic())
        ):
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
    """The lines that each reading completes, none where it only begins one."""
    named = named_encoding()
    other = named.codec if named else "utf-8"
    begun: list[bytes] = []
    first = True
    while chunk := cast(io.BufferedReader, stream).read1(_CHUNK):
        *complete, rest = chunk.split(b"\n")
        if complete:
            complete[0] = b"".join(begun) + complete[0]
            begun = []
        begun.append(rest)
        lines = [_decoded(line, other) for line in complete]
        if first and lines:
            lines[0], first = lines[0].removeprefix(_MARK), False
        yield lines
    if last := b"".join(begun):
        yield [_decoded(last, other).removeprefix(_MARK if first else "")]


def _decoded(line: bytes, other: str) -> str:
    try:
        return line.decode().removesuffix("\r")
    except UnicodeDecodeError:
        return line.decode(other, "headwater.mark").removesuffix("\r")


def _more_comes(stream: BinaryIO, seconds: float) -> bool:
    try:
        return bool(select.select([stream], [], [], max(0.0, seconds))[0])
    except io.UnsupportedOperation:  # it lies in memory
        return True
    except (OSError, ValueError):  # nothing here that can be waited for
        return False
