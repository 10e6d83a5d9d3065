"""Batches of pairs that are pure functions of (seed, number)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.assembly import Example, FramedExamples
from headwater.data.picture_batches import Views
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, Tokenizer
from headwater.data.targets import Targets
from headwater.errors import BadDataError
from headwater.randomness import Draws, permute
from headwater.sequence import Batch, SequenceLayout

Integers = NDArray[np.int64]


class Side(Protocol):
    """The things of one side of pairs, by their numbers."""

    def read(self, items: Integers, draws: Draws | None) -> tuple[Tensor, SequenceLayout]:
        """Some of them as a model reads them; with ``draws``, as they are shown in training."""
        ...


@dataclass(frozen=True, slots=True)
class PictureSide:
    """Pictures, spectrograms or film strips."""

    pixels: Pixels | Sequence[Pixels]
    patches: Patches
    views: Views

    def read(self, items: Integers, draws: Draws | None) -> tuple[Tensor, SequenceLayout]:
        """Squares, moved and mirrored where they are drawn."""
        order = np.argsort(items)  # memory-mapped rows are read forwards
        shown = np.stack([self.pixels[item] for item in items[order].tolist()])[np.argsort(order)]
        return self.patches.sequences(shown if draws is None else self.views.of(shown, draws))


@dataclass(frozen=True, slots=True)
class TextSide:
    """Texts, framed and cut to a length."""

    texts: FramedExamples

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Tokenizer, length: int) -> "TextSide":
        """Encode texts."""
        tokens = cast(Sequence[Example], tokenizer.encode_batch(list(texts)))
        return cls.encoded(tokens, tokenizer, length)

    @classmethod
    def encoded(cls, tokens: Sequence[Example], tokenizer: Tokenizer, length: int) -> "TextSide":
        """Texts that are tokens already."""
        return cls(FramedExamples.of(tokens, tokenizer, length))

    def read(self, items: Integers, draws: Draws | None) -> tuple[Tensor, SequenceLayout]:
        """The same each time."""
        del draws
        batch = self.texts.batch(items)
        return batch.inputs, batch.layout


SideOf = Callable[[int], Side]


class PairBatches:
    """``rows`` pairs a batch in the order of a keyed permutation: ``inputs`` are their first sides, ``targets`` their
    second ones, ``labels`` (B, 2) the numbers of both things, so that what two pairs share can be told; or, where
    there are ``targets`` of the pairs, these.

    What is left over when ``rows`` does not divide the pairs is left out of that epoch: others each time.
    """

    def __init__(
        self,
        first: Side,
        second: Side,
        pairs: Integers,
        *,
        rows: int,
        seed: int,
        shown: bool,
        targets: Targets | None = None,
    ) -> None:
        if not len(pairs):
            raise BadDataError("there are no pairs to make batches of; give at least one")
        self._first, self._second, self._pairs = first, second, pairs
        self._rows, self._seed, self._shown = min(rows, len(pairs)), seed, shown
        self._targets = targets

    def batch(self, number: int) -> Batch:
        """The batch of this number, counted from 0 across epochs."""
        epoch, place = divmod(number, self.batches_per_epoch(0))
        ranks = np.arange(place * self._rows, (place + 1) * self._rows)
        items = permute(ranks, len(self._pairs), self._seed, "order of pairs", epoch)
        return self._batch(items, epoch, Draws(self._seed, epoch, items) if self._shown else None)

    def batches_per_epoch(self, epoch: int) -> int:
        """How many batches the epoch has: the same in every epoch."""
        del epoch
        return len(self._pairs) // self._rows

    def example(self, item: int) -> int:
        """The item itself."""
        return item

    def once(self) -> Iterator[Batch]:
        """Every pair once and as it is."""
        for first in range(0, len(self._pairs), self._rows):
            yield self._batch(np.arange(first, min(first + self._rows, len(self._pairs))), 0, None)

    def _batch(self, items: Integers, epoch: int, draws: Draws | None) -> Batch:
        chosen = self._pairs[items]
        inputs, layout = self._first.read(chosen[:, 0], draws)
        targets, target_layout = self._second.read(chosen[:, 1], draws)
        batch = Batch(
            inputs,
            layout,
            torch.from_numpy(items),
            epoch,
            targets=targets,
            target_layout=target_layout,
            labels=torch.from_numpy(chosen.copy()),
        )
        return batch if self._targets is None else self._targets.into(batch)
