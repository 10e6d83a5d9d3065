"""Pictures of any common kind → arrays of grey or colour values.

Shape letters: H height, W width.
"""

import logging
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from headwater.errors import BadDataError

Pixels = NDArray[np.uint8]
EIGHT_BITS, _TWELVE_BITS, _SIXTEEN_BITS = 255, 4_095, 65_535
_HEAD_OF_PNG = 65_536  # bytes that what stands before its pixels is looked for in
MOST_PIXELS = 64_000_000
"""A picture with more is refused before it is unpacked: a small file may claim any size."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")

_SAMPLES = 277  # the tag of how many values a pixel has
_OF_CHANNELS = (
    "a TIFF of {} channels; expected grey, colour, or colour and transparency: put pictures of other channels into an "
    "npz array (pictures, height, width, channels)"
)
logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it would print is told in our words
Image.MAX_IMAGE_PIXELS = None  # MOST_PIXELS is checked for every file, and refuses instead of warning


def decoded(stream: BinaryIO, note: Callable[[str], None] = lambda _: None) -> Pixels:
    """The values of one picture; BadDataError with the reason where there are none to be had.

    Transparent parts are laid on white, a camera's orientation is applied. Of 16 bits in grey, 12 become 8 where no
    number needs more, else all 16, as where the file says that it fills them; ``note`` is told which.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of flaws that do not keep it from reading
            with Image.open(stream, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadDataError(f"more than {MOST_PIXELS // 1_000_000} million pixels")
                _refuse_more_channels(image)
                if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
                    note("TIFF(s) of several pages, of which the first is read: make a file of each page")
                fills = image.format == "PPM" or (image.mode.startswith("I") and _says_its_bits(stream))
                return _values(ImageOps.exif_transpose(image), note, fills)
    except BadDataError:
        raise
    except UnidentifiedImageError as problem:
        if channels := _channels_of_tiff(stream):
            raise BadDataError(f"no picture: {_OF_CHANNELS.format(channels)}") from problem
        raise BadDataError(f"no picture: not one of {', '.join(FORMATS)}") from problem
    except Exception as problem:  # a decoder may raise anything on bytes that nobody meant as a picture
        raise BadDataError(
            f"no picture: {str(problem).splitlines()[0] if str(problem) else type(problem).__name__}"
        ) from problem


def as_pixels(values: NDArray[Any], white: float | None = None) -> Pixels:
    """A whole array of pictures as bytes, all on one scale: from 0 to ``white``, by default what they need themselves.

    BadDataError where numbers stand for no brightness: below 0, or beyond 16 bits.
    """
    white = white_of(values) if white is None else white
    if white == EIGHT_BITS and values.dtype.kind != "f":
        return values.astype(np.uint8)
    numbers = np.nan_to_num(values) if values.dtype.kind == "f" else values.astype(np.float32)
    return (numbers * np.float32(EIGHT_BITS / white)).round().astype(np.uint8)


def white_of(values: NDArray[Any]) -> float:
    """The number that stands for white (docs/decisions/0021): 1 of shares, else that of 8, 10, 12, 14 or 16 bits.

    BadDataError where numbers stand for no brightness.
    """
    least, most = (float(np.nanmin(values)), float(np.nanmax(values))) if values.size else (0.0, 0.0)
    if least < 0 or most > _SIXTEEN_BITS:
        raise BadDataError(
            f"an array with numbers from {least:g} to {most:g}; expected brightness from 0, as shares of 1 or in 8 to "
            "16 bits"
        )
    if values.dtype.kind == "f" and most <= 1.0:
        return 1.0
    return next(float(white) for bits in (8, 10, 12, 14, 16) if most <= (white := (1 << bits) - 1))


def as_seen(pixels: Pixels) -> Pixels:
    """As a person looks at pictures of any number of channels, (…, K) → (…, 1 or 3): the first three of more.

    Of two, one is red and one green.
    """
    if pixels.shape[-1] == 2:
        return np.concatenate((pixels, np.zeros_like(pixels[..., :1])), axis=-1)
    return pixels if pixels.shape[-1] == 1 else pixels[..., :3]


def on_white(pixels: Pixels) -> Pixels:
    """Colour and how opaque it is (…, 4) laid on white: (…, 3)."""
    opaque = pixels[..., 3:].astype(np.float32) / 255.0
    return (255.0 + (pixels[..., :3] - np.float32(255.0)) * opaque).round().astype(np.uint8)


def channels_in_words(channels: int) -> str:
    """How many values a pixel has."""
    return {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")


def _refuse_more_channels(image: Image.Image) -> None:
    """Pillow reads three of the channels of some files and is silent about the others."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        channels = int(image.tag_v2.get(_SAMPLES, 1))
        if channels > len(image.getbands()):
            raise BadDataError(f"no picture: {_OF_CHANNELS.format(channels)}")


def _says_its_bits(stream: BinaryIO) -> bool:
    """Whether a PNG says how many bits were measured (sBIT): its numbers are then scaled to all bits that it has."""
    place = stream.tell()
    stream.seek(0)
    head = stream.read(_HEAD_OF_PNG)
    stream.seek(place)
    return b"sBIT" in head[: max(0, head.find(b"IDAT"))]


def _channels_of_tiff(stream: BinaryIO) -> int:
    """How many values a pixel has in a TIFF that Pillow cannot read; 0 where it is none."""
    try:
        stream.seek(0)
        tags = TiffImagePlugin.ImageFileDirectory_v2(stream.read(8))
        stream.seek(tags.next)
        tags.load(stream)
        return int(tags.get(_SAMPLES, 0))
    except Exception:  # whatever it is, it is no TIFF
        return 0


def _values(image: Image.Image, note: Callable[[str], None], fills_16_bits: bool) -> Pixels:
    if image.mode == "F":
        return as_pixels(np.asarray(image))[..., None]
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        numbers = np.clip(np.asarray(image.convert("I")), 0, _SIXTEEN_BITS)
        white = _SIXTEEN_BITS if fills_16_bits or numbers.max() > _TWELVE_BITS else _TWELVE_BITS
        note(f"pictures of 16 bits, read from 0 to {white:,}")
        return as_pixels(numbers, white)[..., None]
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))
