"""Tar archives that cannot be trusted, packed (gzip, bzip2, xz) or not: what may be read from one, and how much."""

import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from headwater.data.archives import MAX_MEMBERS, MAX_RATIO, SMALL, outside

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_tar(name: str) -> bool:
    """Whether a file is one by its name."""
    return name.lower().endswith(ENDINGS)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


class Tar:
    """The members of a tar archive in their order: of a packed one, whatever stands before a member is unpacked for it.

    Raises ``tarfile.TarError`` where it is damaged, or claims more than is plausible.
    """

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "r:*")  # noqa: SIM115 (closed by whoever opened it)
        self._most = max(SMALL, MAX_RATIO * path.stat().st_size)
        self._members: dict[str, tarfile.TarInfo] | None = None

    def __enter__(self) -> "Tar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its file."""
        self._tar.close()

    def listing(self) -> tuple[list[tuple[str, int]], dict[str, str]]:
        """Names and sizes of what may be read, in their order, and of the others the reason why not."""
        refused: dict[str, str] = {}
        members: dict[str, tarfile.TarInfo] = {}
        seen: set[str] = set()
        for member in self._each():
            name = member.name.removeprefix("./")
            if member.isdir():
                continue
            if not name.strip("./"):
                refused[_printable(name)] = "archive member without a name"
            elif not name.isprintable():
                refused[_printable(name)] = "archive member whose name is not valid text"
            elif outside(name):
                refused[name] = "archive member outside the archive"
            elif not member.isreg() or stat.S_IFMT(member.mode) not in (0, stat.S_IFREG):
                refused[name] = "archive member that is a link or a device"
            elif name.casefold() in seen:
                refused[name] = "archive member twice under one name"
                members.pop(name, None)
            else:
                members[name] = member
            seen.add(name.casefold())
        self._members = {name: member for name, member in members.items() if name not in refused}
        return [(name, member.size) for name, member in self._members.items()], refused

    def open(self, name: str) -> BinaryIO:
        """One member; it is read while the archive is open."""
        if self._members is None:
            self.listing()
        assert self._members is not None
        stream = self._tar.extractfile(self._members[name])
        assert stream is not None, "only regular files are listed"
        return cast(BinaryIO, stream)

    def _read(self) -> Iterator[tarfile.TarInfo]:
        try:
            yield from self._tar
        except (ValueError, UnicodeError) as problem:  # headers that nobody wrote on purpose
            raise tarfile.ReadError(f"its headers are damaged: {problem}") from problem

    def _each(self) -> Iterator[tarfile.TarInfo]:
        for count, member in enumerate(self._read(), 1):
            if count > MAX_MEMBERS:
                raise tarfile.ReadError(f"it has more than {MAX_MEMBERS:,} members")
            if member.offset_data + member.size > self._most:
                raise tarfile.ReadError(f"it unpacks to more than {MAX_RATIO} times its size")
            yield member
