"""Files, members of archives and arrays → decoded pictures, recordings and clips, every one used or reported."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from headwater.data.archives import READ_FAILURES, open_archive
from headwater.data.arrays import heads, labels_beside, read_array
from headwater.data.classes import classes_of
from headwater.data.files import Source
from headwater.data.kinds import MANY
from headwater.data.problems import Problems
from headwater.data.readers.clips import Clip, decoded_clip
from headwater.data.readers.pictures import EIGHT_BITS, Pixels, as_pixels, decoded, on_white, white_of
from headwater.data.readers.sounds import Recording, decoded_sound
from headwater.data.readers.tracks import decoded_track
from headwater.data.tars import Tar, is_tar
from headwater.errors import BadDataError

Decoded = Pixels | Recording | Clip
"""A picture (H, W, K), a recording or a clip."""


class Medium(NamedTuple):
    """One decoded picture, recording or clip, its label, and where it came from."""

    content: Decoded
    label: str | None
    path: str
    row: int


def read_media(
    sources: Sequence[Source], problems: Problems, *, label: str | None = None
) -> Iterator[Medium]:
    """What these sources hold, in their order.

    Labels stand in the column ``label`` of the tables beside them; without tables, folders name classes. An array's
    labels stand in the array beside it (``label`` names it). What cannot be decoded is reported with the reason, and
    the rest goes on.
    """
    told = any(source.row is not None for source in sources)
    of_folder = dict(zip((source.path for source in sources), classes_of(sources), strict=True))

    def label_of(source: Source) -> str | None:
        return (source.row or {}).get(label or "") or None if told else of_folder[source.path]

    for file, group in groupby(sources, key=lambda source: source.file):
        members = list(group)
        if members[0].kind in MANY:
            for source in members:
                yield from _of_array(source, problems, label)
        elif members[0].member is None:
            with file.open("rb") as stream:
                yield from _of_file(members[0], cast(BinaryIO, stream), problems, label_of(members[0]))
        else:
            opened = Tar(file) if is_tar(file.name) else open_archive(file)
            with opened as archive:  # opened once: its directory may be long
                for source in members:
                    assert source.member is not None
                    with archive.open(source.member) as stream:
                        yield from _of_file(source, cast(BinaryIO, stream), problems, label_of(source))


def decoded_medium(stream: BinaryIO, kind: str, note: Callable[[str], None] = lambda _: None) -> Decoded:
    """A picture, or what ``kind`` says ("sound", "clip", the "track" of a clip); BadDataError where it is none.

    ``note`` is told what of a picture is worth saying.
    """
    if kind == "sound":
        return decoded_sound(stream)
    if kind == "track":
        return decoded_track(stream)
    return decoded_clip(stream) if kind == "clip" else decoded(stream, note)


def digest_of(content: Decoded) -> int:
    """The same for equal pictures, recordings or clips."""
    match content:
        case Recording():
            values, kind = content.samples, f"{content.rate}"
        case Clip():
            values, kind = content.frames, str(content.frames.shape)
        case _:
            values, kind = content, str(content.shape)
    found = hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=8, key=kind.encode()[:64]).digest()
    return int.from_bytes(found, "little", signed=True)


def _of_file(source: Source, stream: BinaryIO, problems: Problems, label: str | None) -> Iterator[Medium]:
    problems.rows += 1
    try:
        content = decoded_medium(stream, source.kind, problems.note)
    except BadDataError as problem:
        reason, _, detail = str(problem).partition(": ")
        problems.add(source.path, 1, reason, detail)
        return
    if isinstance(content, Recording | Clip) and content.cut:
        problems.add(source.path, 0, "cut short, used as far as it goes")
    yield Medium(content, label, source.path, 1)


def _of_array(source: Source, problems: Problems, wanted: str | None) -> Iterator[Medium]:
    assert source.member is not None
    try:
        head = heads(source.file)[source.member]
        values = read_array(source.file, source.member)
        white: float = EIGHT_BITS
        if head.dtype != np.uint8:
            white = max(white_of(values), _white_of_file(source.file, head.dtype.kind == "f"))
        pictures = as_pixels(values, white)
        labels = labels_beside(source.file, source.member, wanted)
    except BadDataError as problem:
        problems.add(source.path, 0, "no pictures", str(problem))
        return
    except (*READ_FAILURES, ValueError) as problem:
        problems.add(source.path, 0, "file damaged or unreadable", str(problem))
        return
    if head.dtype != np.uint8:
        problems.note(f"array {source.member} of {head.dtype}, read from 0 to {white:,g}")
    if head.guess:
        problems.note(f"array {source.member} {head.guess}")
    grey = pictures.ndim == 3 or (pictures.ndim == 4 and source.kind == "clips")
    for row, pixels in enumerate(pictures):
        problems.rows += 1
        pixels = pixels[..., None] if grey else on_white(pixels) if head.is_transparent else pixels
        content = Clip(pixels, None) if source.kind == "clips" else pixels
        yield Medium(content, None if labels is None else str(labels[1][row]), source.path, row + 1)


def _white_of_file(path: Path, floats: bool) -> float:
    """The one scale of all arrays of pictures or clips of a file, so that its parts can be compared."""
    return _white_as_written(path, path.stat().st_mtime_ns, floats)


@lru_cache(maxsize=16)
def _white_as_written(path: Path, written: int, floats: bool) -> float:
    del written  # a file that was written again is read again
    most = 0.0
    for name, head in heads(path).items():
        if head.holds and head.dtype != np.uint8 and (head.dtype.kind == "f") == floats:
            try:
                most = max(most, white_of(read_array(path, name)))
            except (BadDataError, *READ_FAILURES, ValueError):
                continue  # it is told of where it is read
    return most
