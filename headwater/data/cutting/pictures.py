"""Pictures of any size become squares of one size. Shape letters: N pictures, H height, W width, K channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

import numpy as np
from PIL import Image

from headwater.data.cutting.cut import LARGEST_PATCH, Check, Cut, measured, some_of
from headwater.data.files import Source
from headwater.data.kinds import Kind, Modality
from headwater.data.readers.media import Decoded
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers.patches import Patches
from headwater.errors import BadDataError

LARGEST_SIDE = 224
MOST_PATCHES_A_SIDE = 8
_GREY = np.array([0.299, 0.587, 0.114])  # the luminance of ITU-R BT.601, as Pillow's


@dataclass(frozen=True, slots=True)
class PictureCut(Cut):
    """The side of the squares that pictures become and of their patches, in pixels; 1 channel (grey) or 3."""

    side: int | None = None
    patch: int | None = None
    channels: int | None = None

    modality: ClassVar[Modality] = "image"
    what: ClassVar[str] = "pictures"
    kind: ClassVar[Kind] = "picture"

    def fitted(self, sources: Sequence[Source], check: Check | None = None) -> "PictureCut":
        """The median side, grey where all are grey."""
        if self.side is not None and self.channels is not None:
            return self._checked(self.side, self.channels)
        shapes = [_pixels(medium.content).shape for medium in some_of(sources, check)]
        channels = self.channels or (1 if all(shape[2] == 1 for shape in shapes) else 3)
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

    def array(self, content: Decoded) -> Pixels:
        """The middle square."""
        assert self.side is not None
        assert self.channels is not None
        return square(_pixels(content), self.side, self.channels)

    def patches(self, pixels: Pixels) -> Patches:
        """Squares of squares."""
        assert self.side is not None
        assert self.patch is not None
        count = self.side // self.patch
        return measured(pixels, count, count, self.patch)

    def told(self) -> str:
        """Side and colour."""
        return f"{self.side} × {self.side}, {'grey' if self.channels == 1 else 'colour'}"


def fitted_patch(side: int) -> int:
    """The smallest square, of at most 16 pixels, of which eight or fewer fill a side; else the largest that fits."""
    fitting = [size for size in range(2, LARGEST_PATCH + 1) if side % size == 0]
    coarse = [size for size in fitting if side <= size * MOST_PATCHES_A_SIDE]
    return min(coarse) if coarse else max(fitting, default=side)


def square(pixels: Pixels, side: int, channels: int) -> Pixels:
    """The middle square of a picture, brought to ``side`` pixels: (H, W, K) → (side, side, channels)."""
    pixels = _in_channels(pixels, channels)
    height, width, _ = pixels.shape
    if (height, width) != (side, side):
        scale = side / min(height, width)
        size = (max(side, round(width * scale)), max(side, round(height * scale)))
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels).resize(
            size, Image.Resampling.BILINEAR
        )
        pixels = np.asarray(image).reshape(size[1], size[0], channels)
        top, left = (size[1] - side) // 2, (size[0] - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    return pixels


def _pixels(content: Decoded) -> Pixels:
    assert isinstance(content, np.ndarray)
    return content


def _in_channels(pixels: Pixels, channels: int) -> Pixels:
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return pixels.repeat(3, axis=-1)
    return (pixels @ _GREY).round().astype(np.uint8)[..., None]
