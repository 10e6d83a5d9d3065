"""What examples are to be answered with, put into the batches that ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.assembly import Example, FramedExamples, Integers
from headwater.data.excerpts import Excerpts
from headwater.data.tokenizer import Tokenizer
from headwater.randomness import Draws
from headwater.sequence import Batch

NO_LABEL = -100
"""Of a token that no loss is taken at."""


class Targets(Protocol):
    """One target for each example, by its number."""

    def __len__(self) -> int: ...
    def into(self, batch: Batch) -> Batch:
        """The batch with the targets of its items."""
        ...


@dataclass(frozen=True, slots=True)
class WithinTheText:
    """Targets that the examples themselves hold: a source and, behind it, what is to be written."""

    count: int

    def __len__(self) -> int:
        return self.count

    def into(self, batch: Batch) -> Batch:
        """The batch as it is."""
        return batch


@dataclass(frozen=True, slots=True)
class Labels:
    """One number for each example, a class or a quantity, or as many for each: (examples, …)."""

    numbers: NDArray[Any]

    def __len__(self) -> int:
        return len(self.numbers)

    def into(self, batch: Batch) -> Batch:
        """The batch with ``labels`` (examples, …)."""
        return replace(batch, labels=torch.from_numpy(self.numbers[batch.items.numpy()]))


@dataclass(frozen=True, slots=True)
class TokenLabels:
    """One number for each token of an example, behind its [CLS]; ``NO_LABEL`` where there is none."""

    numbers: Sequence[Integers]

    def __len__(self) -> int:
        return len(self.numbers)

    def into(self, batch: Batch) -> Batch:
        """The batch with ``labels`` (examples, T)."""
        labels = np.full(tuple(batch.inputs.shape), NO_LABEL)
        for row, item in enumerate(batch.items.tolist()):
            numbers = self.numbers[item][: labels.shape[1] - 1]
            labels[row, 1 : 1 + len(numbers)] = numbers
        return replace(batch, labels=torch.from_numpy(labels))


@dataclass(frozen=True, slots=True)
class TargetTexts:
    """One text for each example: [CLS] tokens [SEP]."""

    framed: FramedExamples

    @classmethod
    def of(cls, texts: Sequence[Example], tokenizer: Tokenizer, length: int) -> "TargetTexts":
        """Frame the texts; those longer than ``length`` lose their ends."""
        return cls(FramedExamples.of(texts, tokenizer, length))

    def __len__(self) -> int:
        return len(self.framed)

    def into(self, batch: Batch) -> Batch:
        """The batch with ``targets`` (examples, T) and their layout."""
        items: Integers = batch.items.numpy().astype(np.int64)
        texts = self.framed.batch(items)
        return replace(batch, targets=texts.inputs, target_layout=texts.layout)


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """A second text for each example, and a number that is said of both."""

    texts: TargetTexts
    labels: Labels

    def __len__(self) -> int:
        return len(self.texts)

    def into(self, batch: Batch) -> Batch:
        """The batch with ``targets`` (examples, T), their layout and ``labels`` (examples,)."""
        return self.labels.into(self.texts.into(batch))


@dataclass(frozen=True, slots=True)
class TargetPassages:
    """One passage for each example, of which a batch holds one window: another one each epoch, drawn by the seed."""

    numbers: Integers  # (examples,) of the passage; equal passages have equal numbers
    framed: FramedExamples  # the windows of all passages
    first: Integers  # (passages + 1,) the first window of each
    seed: int

    @classmethod
    def of(cls, numbers: Integers, windows: Excerpts, tokenizer: Tokenizer, length: int, seed: int) -> Self:
        """The windows of all passages, and the number of each example's."""
        return cls(numbers, FramedExamples.of(windows.tokens, tokenizer, length), windows.first, seed)

    def __len__(self) -> int:
        return len(self.numbers)

    def into(self, batch: Batch) -> Batch:
        """The batch with a window of each passage as ``targets``, and its number in ``labels`` (examples,)."""
        items: Integers = batch.items.numpy().astype(np.int64)
        numbers = self.numbers[items]
        draws = Draws(self.seed, batch.epoch, items).uniform("window of a passage", 1)[:, 0]
        counts = self.first[numbers + 1] - self.first[numbers]
        windows = self.framed.batch(self.first[numbers] + (draws * counts).astype(np.int64))
        return replace(
            batch,
            targets=windows.inputs,
            target_layout=windows.layout,
            labels=torch.from_numpy(numbers),
        )
