"""What is in these files and folders: which of them hold data, of which kind, for which part."""

import gzip
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from headwater.data.archives import (
    READ_FAILURES,
    Closing,
    MeasuredStream,
    member_problems,
    open_archive,
    until_damage,
)
from headwater.data.arrays import arrays_of, why_none
from headwater.data.decoding import sniff_encoding
from headwater.data.encodings import Encoding
from headwater.data.kinds import (
    ABOUT_THE_DATA,
    KINDS,
    KINDS_OF,
    MANY,
    MODALITIES,
    Kind,
    Modality,
    PathLike,
    Split,
    kind_of,
    language_of,
    paths_in,
    split_of_name,
    stem_of,
    suffix_of,
)
from headwater.data.problems import Problems
from headwater.data.tars import Tar, is_tar
from headwater.errors import MissingInputError


class FurtherRow(NamedTuple):
    """What another row of a table says of a file of which one did already."""

    table: str
    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One readable file, one member of an archive, or one array of pictures in an npz file.

    ``path`` is the name used in every report: the file's path, and for a member the archive's path, a slash
    and the member's name. ``named`` tells that the user gave this very file, not a folder or archive around
    it. ``beside`` are the files that hold the same lines in other languages. ``row`` is what a table says of it,
    ``more`` what further rows of a table do.
    With ``split_column`` it is those rows of a table alone of which this column says ``part``. ``below`` is its path
    from what the user gave on.
    """

    path: str
    file: Path
    kind: Kind
    size: int  # bytes, unpacked where it is a member of an archive
    split: Split | None = None
    member: str | None = None
    named: bool = False
    beside: tuple["Source", ...] = ()
    row: Mapping[str, str] | None = field(default=None, compare=False)
    more: tuple["FurtherRow", ...] = field(default=(), compare=False)
    split_column: str | None = None
    part: Split | None = None
    below: str = field(default="", compare=False)

    @property
    def suffix(self) -> str:
        """The suffix that tells the kind, without a ``.gz`` behind it."""
        return suffix_of(PurePosixPath(self.member or self.file.name))

    @property
    def languages(self) -> list[str | None]:
        """What its name and those beside it say of their languages."""
        return [language_of(source.file.name) for source in (self, *self.beside)]

    @property
    def compression(self) -> str | None:
        """``"gzip"``, ``"zip"``, both, or None."""
        packed = ["zip"] * (self.member is not None) + ["gzip"] * self.path.lower().endswith(".gz")
        return " and ".join(packed) or None

    def open(self) -> BinaryIO:
        """The unpacked bytes, read as a stream in constant memory."""
        plain = self.member is None
        stream = cast(BinaryIO, self.file.open("rb")) if plain else self._opened(self.member or "")
        if self.path.lower().endswith(".gz"):
            stream = _measured(gzip.GzipFile(fileobj=stream), self.size, packed=stream)
        return stream

    def _opened(self, member: str) -> BinaryIO:
        if is_tar(self.file.name):
            tar = Tar(self.file)
            return _measured(tar.open(member), self.file.stat().st_size, tar)
        # The member keeps the archive's file open after the archive object is closed.
        with open_archive(self.file) as archive:
            return _measured(archive.open(member), archive.getinfo(member).compress_size)

    @cached_property
    def digest(self) -> str:
        """BLAKE2b of the unpacked bytes as far as they can be read (32 hexadecimal digits)."""
        digest = hashlib.blake2b(digest_size=16)
        for chunk in until_damage(self._chunks()):
            digest.update(chunk)
        for other in self.beside:
            digest.update(other.digest.encode())
        return digest.hexdigest()

    def _chunks(self) -> Iterator[bytes]:
        with self.open() as stream:
            while chunk := stream.read(1 << 20):
                yield chunk

    @cached_property
    def encoding(self) -> Encoding:
        """The text encoding, sniffed on first use; binary tables are UTF-8 by their format."""
        if self.kind in ("parquet", "arrow"):
            return Encoding("utf-8", "by format")
        with self.open() as stream:
            return sniff_encoding(stream)

    @property
    def is_text(self) -> bool:
        """Whether it is read as text or a table."""
        return self.kind == "aligned" or self.kind in KINDS_OF["text"].values()

    @property
    def foreign_encoding(self) -> str | None:
        """The codec of text that is not in UTF-8: the same bytes read in another are other data."""
        return self.encoding.codec if self.is_text and not self.encoding.codec.startswith("utf-8") else None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The sources found, and what else lay there: other files counted by suffix."""

    sources: list[Source]
    ignored: Counter[str] = field(default_factory=Counter[str])


PASSED_OVER = "file(s) passed over, which are not read here"
_SHOWN_ENDINGS = 5


def find_sources(
    paths: PathLike | Iterable[PathLike], *, modality: Modality = "text", problems: Problems | None = None
) -> list[Source]:
    """The data files of a modality behind ``paths``, folders and archives walked in sorted order.

    Hidden files and files about the data (README, LICENSE, MANIFEST and their kin) never enter. A file that
    cannot be read is reported in ``problems``, and the rest goes on.
    Raises MissingInputError where a path does not exist or nothing readable is there.
    """
    found = survey(paths, modality=modality, problems=problems)
    told = Counter(
        {ending: count for ending, count in found.ignored.items() if _is_worth_saying(ending, modality)}
    )
    if problems is not None and told:
        endings = [f"{count:,} {ending}" for ending, count in told.most_common(_SHOWN_ENDINGS)]
        more = ["…"] * (len(told) > _SHOWN_ENDINGS)
        problems.note(f"{PASSED_OVER} ({', '.join([*endings, *more])})", told.total())
    return found.sources


def _is_worth_saying(ending: str, modality: Modality) -> bool:
    """Texts beside media are tables and captions, which are told of where they are read."""
    return modality == "text" or ending not in KINDS


def sources_of(paths: PathLike | Iterable[PathLike], modality: Modality) -> list[Source]:
    """Like ``find_sources``; nothing where nothing is there."""
    try:
        return find_sources(paths, modality=modality)
    except MissingInputError:
        return []


def survey(
    paths: PathLike | Iterable[PathLike], *, modality: Modality = "text", problems: Problems | None = None
) -> Survey:
    """Like ``find_sources``, and says what was passed over."""
    roots = paths_in(paths)
    problems = Problems() if problems is None else problems
    found: dict[str, Source] = {}
    ignored: Counter[str] = Counter()
    for root in roots:
        if not root.exists():
            raise MissingInputError(f"there is no file or folder {root}; check the path")
        for source in _walk(root, modality, problems, ignored):
            found.setdefault(source.path, source)
    if not found:
        raise MissingInputError(_nothing_found(roots, modality, problems, ignored))
    return Survey(sources=list(found.values()), ignored=ignored)


def _walk(root: Path, modality: Modality, problems: Problems, ignored: Counter[str]) -> Iterator[Source]:
    if root.is_dir():
        for path in _files_below(root, problems):
            yield from _sources_of_file(path, root, modality, problems, ignored)
    else:
        yield from _sources_of_file(root, None, modality, problems, ignored)


def _files_below(root: Path, problems: Problems) -> Iterator[Path]:
    def report(error: OSError) -> None:
        problems.add(str(error.filename), 0, "folder cannot be read", error.strerror or "")

    seen: set[str] = set()  # a link may lead back to where it stands
    for folder, folders, names in os.walk(root, onerror=report, followlinks=True):
        if (place := os.path.realpath(folder)) in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _sources_of_file(
    path: Path, root: Path | None, modality: Modality, problems: Problems, ignored: Counter[str]
) -> Iterator[Source]:
    if root is not None and modality == "text" and ABOUT_THE_DATA.fullmatch(path.name):
        ignored[path.name] += 1
        return
    kind = kind_of(PurePosixPath(path.name), modality, named=root is None)
    beside = _beside(path) if modality == "text" and kind is None and language_of(path.name) else []
    if beside:
        if root is not None and beside[0] < path:
            return  # the first of them speaks for all
        kind = "aligned"
    elif modality == "text" and root is None and language_of(path.name):
        kind = "text"
    if kind is None and path.suffix.lower() != ".zip" and not is_tar(path.name):
        ignored[path.suffix.lower() or "no suffix"] += 1
        return
    try:
        size = path.stat().st_size
        path.open("rb").close()  # permission is known only by trying
        if kind is None:
            yield from _members(path, root, modality, problems, ignored)
            return
        if kind in MANY:
            yield from _arrays(path, root, modality)
            if reason := why_none(path):
                problems.add(str(path), 0, "no array of pictures or clips", reason)
            return
    except READ_FAILURES as error:
        problems.add(str(path), 0, "file cannot be read", str(error))
        return
    split = split_of_name(path, root=root)
    others = tuple(
        Source(path=_printable(other), file=other, kind="text", size=other.stat().st_size) for other in beside
    )
    yield Source(
        path=_printable(path),
        file=path,
        kind=kind,
        size=size,
        split=split,
        named=root is None,
        beside=others,
        below=_below(path, root),
    )


def _beside(path: Path) -> list[Path]:
    """The files with the same name in other languages."""
    stem = stem_of(path.name)
    return sorted(
        other
        for other in path.parent.iterdir()
        if other != path and language_of(other.name) and stem_of(other.name) == stem
    )


def _arrays(path: Path, root: Path | None, modality: Modality) -> Iterator[Source]:
    """The arrays of an npz file that hold pictures or clips, the part that each belongs to told by its name."""
    for name, size in arrays_of(path, "clips" if modality == "video" else "pictures").items():
        yield Source(
            path=f"{_printable(path)}/{name}",
            file=path,
            kind=KINDS_OF[modality][".npz"],
            size=size,
            split=split_of_name(f"{name.replace('_', '-')}.npy") or split_of_name(path, root=root),
            member=name,
            named=root is None,
        )


def _members(
    path: Path, root: Path | None, modality: Modality, problems: Problems, ignored: Counter[str]
) -> Iterator[Source]:
    members, refused = _listed(path)
    for name, reason in refused.items():
        problems.add(f"{path}/{name}", 0, reason)
    around, archive_split = _printable(path), split_of_name(path, root=root)
    for name, size in members:
        inside = PurePosixPath(name)  # once: an archive may hold a hundred thousand members
        parts = inside.parts
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        if name in refused or name.endswith("/") or hidden:
            continue
        if modality == "text" and ABOUT_THE_DATA.fullmatch(parts[-1]):
            ignored[parts[-1]] += 1
            continue
        kind = kind_of(inside, modality)
        if kind is None or kind in MANY:
            ignored[suffix_of(inside) or "no suffix"] += 1
            continue
        split = split_of_name(inside, root=PurePosixPath(parts[0])) or archive_split
        yield Source(
            path=f"{around}/{name}",
            file=path,
            kind=kind,
            size=size,
            split=split,
            member=name,
            below=name if root is None else f"{_below(path, root)}/{name}",
        )


def _listed(path: Path) -> tuple[list[tuple[str, int]], dict[str, str]]:
    """Names and sizes of an archive's members, and which of them must not be read; those of a tar in their order."""
    if is_tar(path.name):
        with Tar(path) as tar:
            return tar.listing()
    with open_archive(path) as archive:
        refused = member_problems(archive, path.stat().st_size)
        return sorted((member.filename, member.file_size) for member in archive.infolist()), refused


def _below(path: Path, root: Path | None) -> str:
    return path.name if root is None else _printable(path.relative_to(root))


def _printable(path: Path) -> str:
    """A file name that is not valid text holds lone surrogates, which no report could be written with."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _measured(stream: object, packed_size: int, packed: Closing | None = None) -> BinaryIO:
    return cast(
        BinaryIO, io.BufferedReader(MeasuredStream(cast(BinaryIO, stream), packed_size, packed), 1 << 17)
    )


def _nothing_found(roots: list[Path], modality: Modality, problems: Problems, ignored: Counter[str]) -> str:
    passed_over = ", ".join(f"{count} {suffix}" for suffix, count in ignored.most_common(5))
    parts = [
        f"no data files in {', '.join(map(str, roots))}",
        f"passed over: {passed_over}" if passed_over else "",
        *(str(problem) for problem in problems.first(3)),
        _of_another_kind(modality, ignored),
        f"expected {', '.join(sorted(KINDS_OF[modality]))}, each also "
        + ("as .gz or inside a .zip or .tar" if modality == "text" else "inside a .zip or .tar"),
    ]
    return "; ".join(part for part in parts if part)


def _of_another_kind(modality: Modality, ignored: Counter[str]) -> str:
    """What there is instead, in words; "" where that is nothing."""
    there = [
        MODALITIES[other]
        for other, kinds in KINDS_OF.items()
        if other not in (modality, "text") and any(suffix in kinds for suffix in ignored)
    ]
    if not there:
        return ""
    verb = "is" if modality == "text" else "are"
    return f"there are {' and '.join(there)}, and {MODALITIES[modality]} {verb} read here: name a run of {there[0]}"
