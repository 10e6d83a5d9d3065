"""Pictures of any size become squares of one size. Shape letters: N pictures, H height, W width, K channels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

import numpy as np
from PIL import Image

from headwater.data.array_file import Arrays
from headwater.data.cutting.cut import LARGEST_PATCH, Check, Cut, measured, some_of
from headwater.data.files import Source
from headwater.data.kinds import Kind, Modality
from headwater.data.readers.media import Decoded
from headwater.data.readers.pictures import Pixels, channels_in_words
from headwater.data.sequencers.patches import Patches
from headwater.errors import BadDataError

LARGEST_SIDE = 224
MOST_PATCHES_A_SIDE = 8
THINNEST = 8
"""How many times as long as wide a picture is looked at."""
_GREY = np.array([0.299, 0.587, 0.114])  # the luminance of ITU-R BT.601, as Pillow's


@dataclass(frozen=True, slots=True)
class PictureCut(Cut):
    """The side of the squares that pictures become and of their patches, in pixels; 1 channel (grey), 3 or others."""

    side: int | None = None
    patch: int | None = None
    channels: int | None = None

    modality: ClassVar[Modality] = "image"
    what: ClassVar[str] = "pictures"
    kind: ClassVar[Kind] = "picture"

    def fitted(self, sources: Sequence[Source], check: Check | None = None) -> "PictureCut":
        """The median side; grey where all are grey, colour where some are, else as many channels as most have."""
        if self.side is not None and self.channels is not None:
            return self._checked(self.side, self.channels)
        shapes = [_pixels(medium.content).shape for medium in some_of(sources, check)]
        channels = self.channels or _usual_channels([shape[2] for shape in shapes])
        if self.side is not None:
            return self._checked(self.side, channels)
        usual = min(LARGEST_SIDE, int(median(min(shape[:2]) for shape in shapes)))
        patch = self.patch or min(LARGEST_PATCH, max(2, -(-usual // MOST_PATCHES_A_SIDE)))
        return self._checked(max(patch, usual - usual % patch), channels)

    def _checked(self, side: int, channels: int) -> "PictureCut":
        patch = self.patch or fitted_patch(side)
        if side % patch:
            raise BadDataError(
                f"patches of {patch} pixels do not fill a side of {side}; choose --set model.patch and --set data.side "
                "so that one divides the other"
            )
        return PictureCut(side, patch, channels)

    def unfit(self, content: Decoded) -> str:
        """Of other channels, which nobody can convert."""
        assert self.channels is not None
        channels = _pixels(content).shape[2]
        return "" if _convertible(channels, self.channels) else _of_others(channels, self.channels)

    def array(self, content: Decoded) -> Pixels:
        """The middle square."""
        assert self.side is not None
        assert self.channels is not None
        return square(_pixels(content), self.side, self.channels)

    def patches(self, pixels: Arrays) -> Patches:
        """Squares of squares."""
        assert self.side is not None
        assert self.patch is not None
        count = self.side // self.patch
        return measured(pixels, count, count, self.patch)

    def told(self) -> str:
        """Side and colour."""
        assert self.channels is not None
        return f"{self.side} × {self.side}, {channels_in_words(self.channels)}"


def fitted_patch(side: int) -> int:
    """The smallest square, of at most 16 pixels, of which eight or fewer fill a side; else the largest that fits."""
    fitting = [size for size in range(2, LARGEST_PATCH + 1) if side % size == 0]
    coarse = [size for size in fitting if side <= size * MOST_PATCHES_A_SIDE]
    return min(coarse) if coarse else max(fitting, default=side)


def square(pixels: Pixels, side: int, channels: int) -> Pixels:
    """The middle square of a picture, brought to ``side`` pixels: (H, W, K) → (side, side, channels)."""
    pixels = _less_thin(_in_channels(pixels, channels))
    height, width, _ = pixels.shape
    if (height, width) != (side, side):
        scale = side / min(height, width)
        size = (max(side, round(width * scale)), max(side, round(height * scale)))
        pixels = resized(pixels, size, Image.Resampling.BILINEAR)
        top, left = (size[1] - side) // 2, (size[0] - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    return pixels


def _less_thin(pixels: Pixels) -> Pixels:
    """The middle of a strip: all of it, brought to a size by its short side, might not fit in memory."""
    height, width, _ = pixels.shape
    most = THINNEST * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return pixels[top : top + most, left : left + most]


def resized(pixels: Pixels, size: tuple[int, int], how: Image.Resampling) -> Pixels:
    """A picture (H, W, K) at (width, height), channel by channel where it is neither grey nor colour."""
    if pixels.shape[2] in (1, 3):
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        return np.asarray(image.resize(size, how)).reshape(size[1], size[0], -1)
    layers = [Image.fromarray(np.ascontiguousarray(layer)) for layer in np.moveaxis(pixels, 2, 0)]
    return np.stack([np.asarray(layer.resize(size, how)) for layer in layers], axis=2)


def _usual_channels(counts: Sequence[int]) -> int:
    """Grey or colour where all are one of these, else the most frequent."""
    if set(counts) <= {1, 3}:
        return max(counts)
    return Counter(counts).most_common(1)[0][0]


def _convertible(there: int, wanted: int) -> bool:
    return there == wanted or {there, wanted} == {1, 3}


def _of_others(there: int, wanted: int) -> str:
    return f"of other channels: {channels_in_words(there)}, and {channels_in_words(wanted)} is read"


def _pixels(content: Decoded) -> Pixels:
    assert isinstance(content, np.ndarray)
    return content


def _in_channels(pixels: Pixels, channels: int) -> Pixels:
    if pixels.shape[-1] == channels:
        return pixels
    if not _convertible(pixels.shape[-1], channels):
        raise BadDataError(_of_others(pixels.shape[-1], channels))
    if channels == 3:
        return pixels.repeat(3, axis=-1)
    return (pixels @ _GREY).round().astype(np.uint8)[..., None]
