"""What is in these files and folders: which of them hold data, of which kind, for which part."""

import gzip
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, cast

from headwater.data.archives import READ_FAILURES, MeasuredStream, member_problems, open_archive, until_damage
from headwater.data.arrays import picture_arrays
from headwater.data.decoding import Encoding, sniff_encoding
from headwater.data.problems import Problems
from headwater.errors import MissingInputError

Kind = Literal[
    "text", "csv", "tsv", "jsonl", "json", "parquet", "arrow", "tagged", "aligned", "picture", "array"
]
Modality = Literal["text", "image"]
Split = Literal["train", "validation", "test"]
PathLike = str | os.PathLike[str]

KINDS: dict[str, Kind] = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".markdown": "text",
    ".rst": "text",
    ".log": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".bio": "tagged",
    ".iob": "tagged",
    ".iob2": "tagged",
    ".conll": "tagged",
}
PICTURES: dict[str, Kind] = {
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".webp": "picture",
    ".bmp": "picture",
    ".tif": "picture",
    ".tiff": "picture",
    ".ppm": "picture",
    ".pgm": "picture",
    ".npz": "array",
}
KINDS_OF: dict[Modality, dict[str, Kind]] = {"text": KINDS, "image": PICTURES}
# Codes of ISO 639-1 that files of parallel text end with: train.en beside train.de.
_language = re.compile(
    "(af|am|ar|az|be|bg|bn|bs|ca|cs|cy|da|de|el|en|es|et|eu|fa|fi|fr|ga|gl|gu|he|hi|hr|hu|hy|id|is|it|ja|ka|kk|km|kn|"
    "ko|ky|lt|lv|mk|ml|mn|mr|ms|my|nb|ne|nl|nn|no|pa|pl|ps|pt|ro|ru|si|sk|sl|sq|sr|sv|sw|ta|te|th|tl|tr|uk|ur|uz|vi|zh)"
    "([-_][a-z]{2,4})?"
)
_SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_about_the_data = re.compile(
    r"(readme|licen[sc]e|copying|notice|manifest|changelog|authors|citation|requirements)\b.*", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One readable file, one member of a zip archive, or one array of pictures in an npz file.

    ``path`` is the name used in every report: the file's path, and for a member the archive's path, a slash
    and the member's name. ``named`` tells that the user gave this very file, not a folder or archive around
    it. ``beside`` are the files that hold the same lines in other languages.
    """

    path: str
    file: Path
    kind: Kind
    size: int  # bytes, unpacked where it is a zip member
    split: Split | None = None
    member: str | None = None
    named: bool = False
    beside: tuple["Source", ...] = ()

    @property
    def suffix(self) -> str:
        """The suffix that tells the kind, without a ``.gz`` behind it."""
        return _suffix(PurePosixPath(self.member or self.file.name))

    @property
    def compression(self) -> str | None:
        """``"gzip"``, ``"zip"``, both, or None."""
        packed = ["zip"] * (self.member is not None) + ["gzip"] * self.path.lower().endswith(".gz")
        return " and ".join(packed) or None

    def open(self) -> BinaryIO:
        """The unpacked bytes, read as a stream in constant memory."""
        if self.member is None:
            stream = cast(BinaryIO, self.file.open("rb"))
        else:
            # The member keeps the archive's file open after the archive object is closed.
            with open_archive(self.file) as archive:
                stream = _measured(archive.open(self.member), archive.getinfo(self.member).compress_size)
        if self.path.lower().endswith(".gz"):
            stream = _measured(gzip.GzipFile(fileobj=stream), self.size, packed=stream)
        return stream

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


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The sources found, and what else lay there: other files counted by suffix."""

    sources: list[Source]
    ignored: Counter[str] = field(default_factory=Counter[str])


def find_sources(
    paths: PathLike | Iterable[PathLike], *, modality: Modality = "text", problems: Problems | None = None
) -> list[Source]:
    """The data files of a modality behind ``paths``, folders and archives walked in sorted order.

    Hidden files and files about the data (README, LICENSE, MANIFEST and their kin) never enter. A file that
    cannot be read is reported in ``problems``, and the rest goes on.
    Raises MissingInputError where a path does not exist or nothing readable is there.
    """
    return survey(paths, modality=modality, problems=problems).sources


def modality_of(paths: PathLike | Iterable[PathLike]) -> Modality:
    """What the data behind ``paths`` are: pictures where these are more files and more bytes, else text.

    Texts that stand beside pictures of the same name (captions) do not make pictures text.
    """
    pictures, texts = (sources_of(paths, modality) for modality in ("image", "text"))
    names = {PurePosixPath(source.path).with_suffix("") for source in pictures}
    if pictures and all(PurePosixPath(source.path).with_suffix("") in names for source in texts):
        return "image"
    larger = sum(source.size for source in pictures) > sum(source.size for source in texts)
    return "image" if len(pictures) > len(texts) and larger else "text"


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
    roots = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
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


def split_of_name(path: PathLike, *, root: PathLike | None = None) -> Split | None:
    """Which part a file belongs to by its name: train, validation (valid, val, dev) or test.

    One word of the file's name decides (``test_2016.tsv``, ``train-00000-of-00004.parquet``); otherwise the
    innermost folder named exactly so, no further out than ``root``.
    """
    parts = _parts(path)
    depth = len(_parts(root)) - 1 if root is not None else len(parts) - 2
    words = re.split(r"[^a-z]+", parts[-1].partition(".")[0].lower())
    splits: set[Split] = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    if splits:
        return splits.pop() if len(splits) == 1 else None
    folders = [
        _SPLIT_WORDS[part.lower()] for part in parts[max(0, depth) : -1] if part.lower() in _SPLIT_WORDS
    ]
    return _SPLIT_WORDS[folders[-1]] if folders else None


def _parts(path: PathLike) -> tuple[str, ...]:
    return path.parts if type(path) is PurePosixPath else PurePosixPath(str(path).replace("\\", "/")).parts


def _walk(root: Path, modality: Modality, problems: Problems, ignored: Counter[str]) -> Iterator[Source]:
    if root.is_dir():
        for path in _files_below(root, problems):
            yield from _sources_of_file(path, root, modality, problems, ignored)
    else:
        yield from _sources_of_file(root, None, modality, problems, ignored)


def _files_below(root: Path, problems: Problems) -> Iterator[Path]:
    def report(error: OSError) -> None:
        problems.add(str(error.filename), 0, "folder cannot be read", error.strerror or "")

    for folder, folders, names in os.walk(root, onerror=report):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _sources_of_file(
    path: Path, root: Path | None, modality: Modality, problems: Problems, ignored: Counter[str]
) -> Iterator[Source]:
    if root is not None and modality == "text" and _about_the_data.fullmatch(path.name):
        return
    kind = _kind(PurePosixPath(path.name), modality, named=root is None)
    beside = _beside(path) if modality == "text" and kind is None and language_of(path.name) else []
    if beside:
        if root is not None and beside[0] < path:
            return  # the first of them speaks for all
        kind = "aligned"
    elif modality == "text" and root is None and language_of(path.name):
        kind = "text"
    if kind is None and path.suffix.lower() != ".zip":
        ignored[path.suffix.lower() or "no suffix"] += 1
        return
    try:
        size = path.stat().st_size
        path.open("rb").close()  # permission is known only by trying
        if kind is None:
            yield from _members(path, root, modality, problems, ignored)
            return
        if kind == "array":
            yield from _arrays(path, root)
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
    )


def language_of(name: str) -> str | None:
    """The language that a file's name ends with: ``train.zh`` or ``train.pt-br.gz``."""
    suffix = _suffix(PurePosixPath(name)).removeprefix(".")
    return suffix if _language.fullmatch(suffix) else None


def _beside(path: Path) -> list[Path]:
    """The files with the same name in other languages."""
    stem = _without_suffix(path.name)
    return sorted(
        other
        for other in path.parent.iterdir()
        if other != path and language_of(other.name) and _without_suffix(other.name) == stem
    )


def _arrays(path: Path, root: Path | None) -> Iterator[Source]:
    """The arrays of an npz file that hold pictures, the part that each belongs to told by its name."""
    for name, size in picture_arrays(path).items():
        yield Source(
            path=f"{_printable(path)}/{name}",
            file=path,
            kind="array",
            size=size,
            split=split_of_name(f"{name.replace('_', '-')}.npy") or split_of_name(path, root=root),
            member=name,
            named=root is None,
        )


def _members(
    path: Path, root: Path | None, modality: Modality, problems: Problems, ignored: Counter[str]
) -> Iterator[Source]:
    with open_archive(path) as archive:
        refused = member_problems(archive, path.stat().st_size)
        members = sorted((member.filename, member.file_size) for member in archive.infolist())
    for name, reason in refused.items():
        problems.add(f"{path}/{name}", 0, reason)
    around, archive_split = _printable(path), split_of_name(path, root=root)
    for name, size in members:
        inside = PurePosixPath(name)  # once: an archive may hold a hundred thousand members
        parts = inside.parts
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        about = modality == "text" and _about_the_data.fullmatch(parts[-1])
        if name in refused or name.endswith("/") or hidden or about:
            continue
        kind = _kind(inside, modality)
        if kind is None or kind == "array":
            ignored[_suffix(inside) or "no suffix"] += 1
            continue
        split = split_of_name(inside, root=PurePosixPath(parts[0])) or archive_split
        yield Source(path=f"{around}/{name}", file=path, kind=kind, size=size, split=split, member=name)


def _printable(path: Path) -> str:
    """A file name that is not valid text holds lone surrogates, which no report could be written with."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _kind(path: PurePosixPath, modality: Modality, *, named: bool = False) -> Kind | None:
    if modality == "image":
        return PICTURES.get(path.suffix.lower())
    if named and path.suffix == "":  # a file without a suffix that the user names is meant as text
        return "text"
    return KINDS.get(_suffix(path))


def _suffix(path: PurePosixPath) -> str:
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix == ".gz" else suffix


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem


def _measured(stream: object, packed_size: int, packed: BinaryIO | None = None) -> BinaryIO:
    return cast(
        BinaryIO, io.BufferedReader(MeasuredStream(cast(BinaryIO, stream), packed_size, packed), 1 << 17)
    )


def _nothing_found(roots: list[Path], modality: Modality, problems: Problems, ignored: Counter[str]) -> str:
    passed_over = ", ".join(f"{count} {suffix}" for suffix, count in ignored.most_common(5))
    parts = [
        f"no data files in {', '.join(map(str, roots))}",
        f"passed over: {passed_over}" if passed_over else "",
        *(str(problem) for problem in problems.first(3)),
        "there are pictures, and text is read here: name a run of pictures"
        * _pictures_alone(modality, ignored),
        f"expected {', '.join(sorted(KINDS_OF[modality]))}, each also "
        + ("inside a .zip" if modality == "image" else "as .gz or inside a .zip"),
    ]
    return "; ".join(part for part in parts if part)


def _pictures_alone(modality: Modality, ignored: Counter[str]) -> bool:
    """Whether text was looked for where there are pictures."""
    return modality == "text" and any(suffix in PICTURES for suffix in ignored)
