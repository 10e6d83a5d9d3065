"""Pictures of any common kind → arrays of grey or colour values, every file used or reported.

Shape letters: H height, W width.
"""

import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from headwater.data.archives import READ_FAILURES, open_archive
from headwater.data.arrays import labels_beside, read_array
from headwater.data.files import Source
from headwater.data.problems import Problems
from headwater.errors import BadDataError

Pixels = NDArray[np.uint8]
MOST_PIXELS = 64_000_000
"""A picture with more is refused before it is unpacked: a small file may claim any size."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")

Image.MAX_IMAGE_PIXELS = None  # MOST_PIXELS is checked for every file, and refuses instead of warning


class Picture(NamedTuple):
    """One decoded picture: (H, W, 1) grey or (H, W, 3) red, green, blue; its label, and where it came from."""

    pixels: Pixels
    label: str | None
    path: str
    row: int


def read_pictures(
    sources: Sequence[Source], problems: Problems, *, label: str | None = None
) -> Iterator[Picture]:
    """The pictures of these sources in their order.

    Folders name classes where there is more than one of them; an array's labels stand in the array beside it
    (``label`` names it). What cannot be decoded is reported with the reason, and the rest goes on.
    """
    folders = {_folder(source) for source in sources if source.kind == "picture"}
    by_folder = len(folders) > 1
    for file, group in groupby(sources, key=lambda source: source.file):
        members = list(group)
        if members[0].kind == "array":
            for source in members:
                yield from _of_array(source, problems, label)
        elif members[0].member is None:
            with file.open("rb") as stream:
                yield from _of_file(members[0], cast(BinaryIO, stream), problems, by_folder)
        else:
            with open_archive(file) as archive:  # opened once: its directory may be long
                for source in members:
                    assert source.member is not None
                    with archive.open(source.member) as stream:
                        yield from _of_file(source, cast(BinaryIO, stream), problems, by_folder)


def decoded(stream: BinaryIO) -> Pixels:
    """The values of one picture; BadDataError with the reason where there are none to be had.

    Transparent parts are laid on white, a camera's orientation is applied, 16 bits become 8.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of flaws that do not keep it from reading
            with Image.open(stream, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadDataError(f"more than {MOST_PIXELS // 1_000_000} million pixels")
                return _values(ImageOps.exif_transpose(image))
    except BadDataError:
        raise
    except Exception as problem:  # a decoder may raise anything on bytes that nobody meant as a picture
        raise BadDataError(
            f"no picture: {str(problem).splitlines()[0] if str(problem) else type(problem).__name__}"
        ) from problem


def as_pixels(values: NDArray[Any]) -> Pixels:
    """Pictures of an array as bytes, (…, H, W) → (…, H, W, 1): shares of 1 and 16 bits are scaled, the rest is cut."""
    if values.dtype.kind == "f":
        scale = 255.0 if values.size and float(np.nanmax(values)) <= 1.0 else 1.0
        values = np.nan_to_num(values) * scale
    elif values.dtype.itemsize > 1 and values.size and int(values.max()) > 255:
        values = values >> 8
    return np.clip(values, 0, 255).astype(np.uint8)


def _of_file(source: Source, stream: BinaryIO, problems: Problems, by_folder: bool) -> Iterator[Picture]:
    problems.rows += 1
    try:
        pixels = decoded(stream)
    except BadDataError as problem:
        reason, _, detail = str(problem).partition(": ")
        problems.add(source.path, 1, reason, detail)
        return
    yield Picture(pixels, _folder(source) if by_folder else None, source.path, 1)


def _of_array(source: Source, problems: Problems, wanted: str | None) -> Iterator[Picture]:
    assert source.member is not None
    try:
        pictures = read_array(source.file, source.member)
        labels = labels_beside(source.file, source.member, wanted)
    except (*READ_FAILURES, ValueError) as problem:
        problems.add(source.path, 0, "file damaged or unreadable", str(problem))
        return
    for row, values in enumerate(pictures):
        problems.rows += 1
        pixels = as_pixels(values)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
        yield Picture(pixels, None if labels is None else str(labels[1][row]), source.path, row + 1)


def _folder(source: Source) -> str:
    return PurePosixPath(source.path).parent.name


def _values(image: Image.Image) -> Pixels:
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        grey = as_pixels(np.asarray(image.convert("I") if image.mode != "F" else image))
        return grey[..., None]
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))
