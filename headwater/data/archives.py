"""Archives that cannot be trusted: what may be read from a zip or gzip file, and how much."""

import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, TypeVar

import pyarrow  # pyright: ignore[reportMissingTypeStubs]

from headwater.data.encoding_guess import decodes
from headwater.data.encodings import of_sample

pa: Any = pyarrow  # it ships no types
Item = TypeVar("Item")

MAX_MEMBERS = 100_000
MAX_RATIO = 250
"""Text packs 3 to 20 times, repetitive logs 100 times; a bomb of zeros 1,000 times."""

SMALL = 1 << 26
"""Bytes that any archive may unpack to."""
_MAX_DIRECTORY_BYTES = 1 << 25
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_NAME_IS_UTF8 = 0x800
_END_RECORD = b"PK\x05\x06"

READ_FAILURES: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    pa.ArrowException,
)
"""What a damaged, truncated or unreadable file raises, whatever its format."""


def until_damage(items: Iterable[Item]) -> Iterator[Item]:
    """A sample of a damaged file: what comes before the damage.

    The failure is not lost: whoever then reads the file itself meets it at the same place and reports it.
    """
    try:
        yield from items
    except READ_FAILURES:
        return


class Closing(Protocol):
    """What is closed with the stream that reads from it."""

    def close(self) -> None: ...


class MeasuredStream(io.RawIOBase):
    """An unpacked stream that refuses to give more than a plausible multiple of its packed size."""

    def __init__(self, stream: BinaryIO, packed_size: int, packed: Closing | None = None) -> None:
        self._stream = stream
        self._packed = packed  # a gzip stream does not close the file it was given
        self._left = max(SMALL, MAX_RATIO * packed_size)

    def readable(self) -> bool:
        """Always: it is for reading only."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer``; an OSError once the stream has given an implausible amount."""
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"it unpacks to more than {MAX_RATIO} times its size")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the packed stream as well."""
        self._stream.close()
        if self._packed is not None:
            self._packed.close()
        super().close()


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip file whose directory is small enough to be read at all."""
    size = _directory_size(path)
    if size > _MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(
            f"its directory takes {size:,} bytes; at most {_MAX_DIRECTORY_BYTES:,} are read"
        )
    archive = zipfile.ZipFile(path)
    if (codec := _codec_of_names(archive)) is None:
        return archive
    archive.close()
    return zipfile.ZipFile(path, metadata_encoding=codec)


def _codec_of_names(archive: zipfile.ZipFile) -> str | None:
    """What names are in that do not say so themselves, as on machines whose own encoding is not UTF-8.

    Without a mark zipfile reads them as the first PC did (CP437).
    """
    names = (member.filename for member in archive.infolist() if not member.flag_bits & _NAME_IS_UTF8)
    foreign = [name for name in islice(names, MAX_MEMBERS) if not name.isascii()]
    if not foreign:
        return None
    names_in_bytes = "\n".join(foreign).encode("cp437")
    codec = of_sample(names_in_bytes, named=False).codec
    return codec if decodes(names_in_bytes, codec) else None


def member_problems(archive: zipfile.ZipFile, packed_size: int) -> dict[str, str]:
    """The members that must not be read, each with the reason; a BadZipFile for the whole archive."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise zipfile.BadZipFile(f"it has {len(members):,} members; at most {MAX_MEMBERS:,} are read")
    # Members that share their packed bytes are how a small file claims petabytes.
    if sum(member.compress_size for member in members) > packed_size:
        raise zipfile.BadZipFile("its members overlap")
    problems: dict[str, str] = {}
    names: set[str] = set()
    for member in members:
        if reason := _member_problem(member):
            problems[member.filename] = reason
        elif member.filename.casefold() in names:
            problems[member.filename] = "archive member twice under one name"
        names.add(member.filename.casefold())
    return problems


def outside(name: str) -> bool:
    """Whether a member's name leads out of its archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]


def _member_problem(member: zipfile.ZipInfo) -> str | None:
    if outside(member.filename):
        return "archive member outside the archive"
    mode = stat.S_IFMT(member.external_attr >> 16)
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return "archive member that is a link or a device"
    if member.flag_bits & 1:
        return "archive member is encrypted"
    if member.compress_type not in _METHODS:
        return "archive member is packed by an unknown method"
    if member.file_size > max(SMALL, MAX_RATIO * member.compress_size):
        return "archive member unpacks to an implausible size"
    return None


def _directory_size(path: Path) -> int:
    """What the end record states, before ``zipfile`` reads the whole directory into memory."""
    with path.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - (1 << 16) - 22))
        tail = stream.read()
    place = tail.rfind(_END_RECORD)
    if place < 0 or len(tail) < place + 16:
        raise zipfile.BadZipFile("it has no zip directory")
    (stated,) = struct.unpack("<I", tail[place + 12 : place + 16])
    # 0xFFFFFFFF refers to the zip64 record; a directory that needs it is too large anyway.
    return int(stated)
