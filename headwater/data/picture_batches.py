"""Batches of pictures that are pure functions of (seed, number)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.mixture import Turns
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers.patches import Patches
from headwater.data.sound_views import varied
from headwater.data.targets import Targets
from headwater.errors import BadDataError
from headwater.randomness import Draws, permute
from headwater.sequence import Batch

Integers = NDArray[np.int64]
_SHOWN_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Views:
    """How a picture may be changed each time it is shown: moved by up to ``shift`` of its side, mirrored.

    With ``upright`` it moves to the sides alone; a strip of ``slices`` moves alike in each. What is ``varied``, more
    or less strongly, is a spectrogram.
    """

    shift: float = 0.0
    mirrored: bool = False
    upright: bool = False
    slices: int = 1
    varied: float = 0.0

    def of(self, pixels: Pixels, draws: Draws) -> Pixels:
        """One view of each picture (B, H, W, K), drawn for its item; what moves in from outside is the border again."""
        if self.varied:
            pixels = varied(pixels, draws, self.varied)
        most = round(self.shift * pixels.shape[2])
        if not most and not self.mirrored:
            return pixels
        moves = draws.integers("moved", 2 * most + 1, 2) - most
        moves[:, 0] *= not self.upright
        turned = draws.uniform("mirrored", 1)[:, 0] < 0.5
        height, width = pixels.shape[1] // self.slices, pixels.shape[2]
        strips = pixels.reshape(len(pixels), self.slices, height, *pixels.shape[2:])
        views = np.empty_like(strips)
        for strip, view, (down, right), turn in zip(strips, views, moves.tolist(), turned, strict=True):
            lines = (np.arange(height) + down).clip(0, height - 1)
            places = (np.arange(width) + right).clip(0, width - 1)
            places = places[::-1] if self.mirrored and turn else places
            strip.take(lines, axis=1).take(places, axis=2, out=view, mode="clip")
        return views.reshape(pixels.shape)


class PictureBatches:
    """``rows`` pictures a batch in the order of a keyed permutation, other views of them each epoch.

    With ``targets``, what each is to be answered with; with ``turns``, in the order of several sources.
    What is left over when ``rows`` does not divide the pictures is left out of that epoch: others each time.
    """

    def __init__(
        self,
        pixels: Pixels | Sequence[Pixels],
        patches: Patches,
        *,
        rows: int,
        seed: int,
        views: Views | None = None,
        targets: Targets | None = None,
        turns: Turns | None = None,
    ) -> None:
        if not len(pixels):
            raise BadDataError("there are no pictures to make batches of; give at least one")
        self._pixels, self._patches, self._seed = pixels, patches, seed
        self._rows, self._views, self._targets = min(rows, len(pixels)), views or Views(), targets
        self._turns = turns

    def batch(self, number: int) -> Batch:
        """The batch of this number, counted from 0 across epochs."""
        epoch, place = divmod(number, self.batches_per_epoch(0))
        ranks = np.arange(place * self._rows, (place + 1) * self._rows)
        if self._turns is None:
            items = permute(ranks, len(self._pixels), self._seed, "order of pictures", epoch)
        else:
            items = self._turns.order(ranks, self._seed, epoch)
        order = np.argsort(items)  # memory-mapped rows are read forwards
        shown = np.stack([self._pixels[item] for item in items[order].tolist()])[np.argsort(order)]
        batch = _batch(self._views.of(shown, Draws(self._seed, epoch, items)), items, self._patches, epoch)
        return batch if self._targets is None else self._targets.into(batch)

    def batches_per_epoch(self, epoch: int) -> int:
        """How many batches the epoch has: the same in every epoch."""
        del epoch
        return len(self._pixels) // self._rows

    def example(self, item: int) -> int:
        """The item itself."""
        return item


def pictures_once(pixels: Sequence[Pixels], patches: Patches) -> Iterator[Batch]:
    """Every picture once and as it is; ``items`` of each batch are the numbers of its pictures."""
    for first in range(0, len(pixels), _SHOWN_AT_ONCE):
        some = pixels[first : first + _SHOWN_AT_ONCE]
        yield _batch(np.stack(some), np.arange(first, first + len(some)), patches, 0)


def _batch(pixels: Pixels, items: Integers, patches: Patches, epoch: int) -> Batch:
    inputs, layout = patches.sequences(pixels)
    return Batch(inputs, layout, torch.from_numpy(items), epoch)
