"""Pictures of any common kind → arrays of grey or colour values.

Shape letters: H height, W width.
"""

import logging
import warnings
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from headwater.errors import BadDataError

Pixels = NDArray[np.uint8]
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
                _refuse_more_channels(image)
                return _values(ImageOps.exif_transpose(image))
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


def _bits(most: float) -> int:
    """The largest number of the fewest bits, 8 to 16, that hold ``most``."""
    return next(limit for bits in range(8, 17) if most <= (limit := (1 << bits) - 1))


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
