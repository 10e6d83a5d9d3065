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
from PIL import Image, ImageOps, UnidentifiedImageError

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
    except UnidentifiedImageError as problem:
        raise BadDataError(f"no picture: not one of {', '.join(FORMATS)}") from problem
    except Exception as problem:  # a decoder may raise anything on bytes that nobody meant as a picture
        raise BadDataError(
            f"no picture: {str(problem).splitlines()[0] if str(problem) else type(problem).__name__}"
        ) from problem


def as_pixels(values: NDArray[Any]) -> Pixels:
    """A whole array of pictures as bytes, all on one scale: shares of 1, and 8 to 16 bits as far as they are used.

    BadDataError where numbers stand for no brightness: below 0, or beyond 16 bits.
    """
    least, most = (float(np.nanmin(values)), float(np.nanmax(values))) if values.size else (0.0, 0.0)
    if least < 0 or most > 65_535:
        raise BadDataError(
            f"an array with numbers from {least:g} to {most:g}; expected brightness from 0, as shares of 1 or in 8 to "
            "16 bits"
        )
    if values.dtype.kind == "f":
        limit = 1.0 if most <= 1.0 else float(_bits(most))
        return (np.nan_to_num(values) * (255.0 / limit)).round().astype(np.uint8)
    limit = _bits(most)
    if limit == 255:
        return values.astype(np.uint8)
    return (values.astype(np.float32) * (255.0 / limit)).round().astype(np.uint8)


def _bits(most: float) -> int:
    """The largest number of the fewest bits, 8 to 16, that hold ``most``."""
    return next(limit for bits in range(8, 17) if most <= (limit := (1 << bits) - 1))


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
        pictures = as_pixels(read_array(source.file, source.member))
        labels = labels_beside(source.file, source.member, wanted)
    except BadDataError as problem:
        problems.add(source.path, 0, "no pictures", str(problem))
        return
    except (*READ_FAILURES, ValueError) as problem:
        problems.add(source.path, 0, "file damaged or unreadable", str(problem))
        return
    for row, pixels in enumerate(pictures):
        problems.rows += 1
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
        yield Picture(pixels, None if labels is None else str(labels[1][row]), source.path, row + 1)


def _folder(source: Source) -> str:
    return PurePosixPath(source.path).parent.name


def _values(image: Image.Image) -> Pixels:
    if image.mode == "F":
        return as_pixels(np.asarray(image))[..., None]
    if image.mode in (
        "I;16",
        "I;16B",
        "I;16L",
        "I",
    ):  # always 16 bits: a dark scan stays darker than a bright one
        return (np.clip(np.asarray(image.convert("I")), 0, 65_535) >> 8).astype(np.uint8)[..., None]
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))
