"""How pictures of any size become squares of one size, and these become patches.

Shape letters: N pictures, H height, W width, K channels.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from statistics import median
from typing import NamedTuple

import numpy as np
from PIL import Image

from headwater.data.files import Source
from headwater.data.problems import Problems
from headwater.data.readers.pictures import Picture, Pixels, read_pictures
from headwater.data.sequencers.patches import Patches
from headwater.errors import BadDataError

LARGEST_SIDE = 224
MOST_PATCHES_A_SIDE = 8
LARGEST_PATCH = 16
_LOOKED_AT = 300
_A_GROUP = 512
_GREY = np.array([0.299, 0.587, 0.114])  # the luminance of ITU-R BT.601, as Pillow's


class Cut(NamedTuple):
    """The side of the squares that pictures become and of their patches, in pixels; 1 channel (grey) or 3.

    None: as the pictures suggest.
    """

    side: int | None = None
    patch: int | None = None
    channels: int | None = None

    @classmethod
    def like(cls, patches: Patches) -> "Cut":
        """As a model has read pictures before."""
        return cls(patches.height, patches.side, patches.channels)

    def fitted(self, sources: Sequence[Source], check: Callable[[], None] | None = None) -> "Cut":
        """Nothing left open: the median side, grey where all are grey, as a few pictures from all over say."""
        if self.side is not None and self.channels is not None:
            return self._checked(self.side, self.channels)
        some = islice(watched(sources[:: -(-len(sources) // _LOOKED_AT)], Problems(), check), _LOOKED_AT)
        shapes = [picture.pixels.shape for picture in some]
        if not shapes:
            raise BadDataError(
                f"none of {len(sources):,} files is a picture that can be read; look at them: headwater inspect"
            )
        channels = self.channels or (1 if all(shape[2] == 1 for shape in shapes) else 3)
        if self.side is not None:
            return self._checked(self.side, channels)
        usual = min(LARGEST_SIDE, int(median(min(shape[:2]) for shape in shapes)))
        patch = self.patch or min(LARGEST_PATCH, max(2, -(-usual // MOST_PATCHES_A_SIDE)))
        return self._checked(max(patch, usual - usual % patch), channels)

    def _checked(self, side: int, channels: int) -> "Cut":
        patch = self.patch or fitted_patch(side)
        if side % patch:
            raise BadDataError(
                f"patches of {patch} pixels do not fill a side of {side}; choose --set model.patch and --set data.side "
                "so that one divides the other"
            )
        return Cut(side, patch, channels)

    def square(self, pixels: Pixels) -> Pixels:
        """The middle square of a picture at the side and in the channels of a fitted cut."""
        assert self.side is not None
        assert self.channels is not None
        return square(pixels, self.side, self.channels)

    def patches(self, pixels: Pixels) -> Patches:
        """How the squares (N, H, W, K) of a fitted cut are cut, their brightness measured."""
        assert self.side is not None
        assert self.patch is not None
        assert self.channels is not None
        mean, deviation = _statistics(pixels)
        count = self.side // self.patch
        return Patches(
            rows=count,
            columns=count,
            side=self.patch,
            channels=self.channels,
            mean=mean,
            deviation=deviation,
        )


AS_SUGGESTED = Cut()


def watched(
    sources: Sequence[Source],
    problems: Problems,
    check: Callable[[], None] | None,
    *,
    label: str | None = None,
) -> Iterator[Picture]:
    """The pictures of these sources; ``check`` is asked now and then, and raises to stop."""
    for number, picture in enumerate(read_pictures(sources, problems, label=label)):
        if number % _A_GROUP == 0 and check is not None:
            check()
        yield picture


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


def digest_of(pixels: Pixels) -> int:
    """The same for equal pictures."""
    shape = str(pixels.shape).encode()
    found = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=8, key=shape[:64]).digest()
    return int.from_bytes(found, "little", signed=True)


def _in_channels(pixels: Pixels, channels: int) -> Pixels:
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return pixels.repeat(3, axis=-1)
    return (pixels @ _GREY).round().astype(np.uint8)[..., None]


def _statistics(pixels: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel, in shares of white; rounded, so that they can be written down."""
    some = pixels[:: max(1, len(pixels) // 5000)].astype(np.float64) / 255.0
    mean, deviation = some.mean(axis=(0, 1, 2)), some.std(axis=(0, 1, 2))
    rounded = lambda values: tuple(round(float(value), 4) for value in values)  # noqa: E731
    return rounded(mean), rounded(np.maximum(deviation, 1e-3))
