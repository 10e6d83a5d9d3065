"""Batches that are pure functions of (seed, number): nothing to save, nothing to replay, any of them at any time."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.assembly import Example, FramedExamples, assemble, cut_into_batches
from headwater.data.packing import pack
from headwater.data.targets import Targets
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Items, framed
from headwater.errors import BadDataError, UsageError
from headwater.randomness import permute
from headwater.sequence import Batch

Integers = NDArray[np.int64]
_BATCHES_A_NEIGHBOURHOOD = 64
_PLANS_KEPT = 4  # a thread that reads ahead and the step that reads behind, each at a border


class BatchStream(Protocol):
    """Batches numbered from 0 across epochs."""

    def batch(self, number: int) -> Batch:
        """The batch of this number: a function of the stream's settings and the number alone."""
        ...

    def batches_per_epoch(self, epoch: int) -> int:
        """How many batches the epoch has."""
        ...

    def example(self, item: int) -> int:
        """The number, in its store, of the example or document that an item of a batch is of."""
        ...


@dataclass(frozen=True, slots=True)
class _Plan:
    """The batches of one neighbourhood: items in order, cut into rows, cut into batches."""

    items: Integers
    row_ends: Integers  # in items
    batch_ends: Integers  # in rows
    widths: Integers  # of the rows of each batch

    def __len__(self) -> int:
        return len(self.batch_ends)

    def rows(self, number: int) -> tuple[Integers, Integers]:
        """The items of a batch, and how many stand in each of its rows."""
        first = self.batch_ends[number - 1] if number else 0
        ends = self.row_ends[first : self.batch_ends[number]]
        start = self.row_ends[first - 1] if first else 0
        return self.items[start : ends[-1]], np.diff(ends, prepend=start)


class TokenBatches:
    """Batches of at most ``tokens_per_batch`` tokens, padding counted.

    An epoch visits every item once, in the order of a keyed permutation. The order is cut into neighbourhoods of
    about sixty batches; inside one, items of like length share a batch, and the batches come in a keyed order.
    With ``packed``, items that fit together share a row of exactly ``items.length`` tokens. Without
    ``length_grouping``, rows stand in the order of the epoch, as many as would fit of the longest. With
    ``open_ends``, an item that does not end its document ends with the document's next token, not with [SEP].
    """

    def __init__(
        self,
        items: Items,
        tokenizer: Tokenizer,
        *,
        tokens_per_batch: int,
        seed: int,
        packed: bool = False,
        length_grouping: bool = True,
        open_ends: bool = False,
        max_rows: int | None = None,
    ) -> None:
        if not len(items):
            raise BadDataError("there is no text to make batches of; give files with at least one document")
        if tokens_per_batch < items.length:
            raise UsageError(
                f"a batch of {tokens_per_batch} tokens cannot hold one window of {items.length}; "
                f"choose at least {items.length} tokens a batch, or shorter windows"
            )
        self._items, self._tokenizer, self._seed = items, tokenizer, seed
        self._tokens_per_batch = tokens_per_batch
        self._open_ends = open_ends
        self._max_rows = tokens_per_batch if max_rows is None else max_rows
        self._arrange = self._pack if packed else self._group if length_grouping else self._keep_order
        self._lengths = items.lengths
        total = int(self._lengths.sum())
        self._neighbourhoods = max(1, round(total / (_BATCHES_A_NEIGHBOURHOOD * tokens_per_batch)))
        self._ends: list[int] = []  # of the neighbourhoods of all epochs met so far, in batches
        self._plans: OrderedDict[int, _Plan] = OrderedDict()
        self._lock = RLock()  # what is remembered is shared by the step and the thread that reads ahead

    def batch(self, number: int) -> Batch:
        """The batch of this number, counted from 0 across epochs."""
        with self._lock:
            while not self._ends or number >= self._ends[-1]:
                self._count_next()
            neighbourhood = bisect_right(self._ends, number)
            plan = self._plan(neighbourhood)
        place = number - self._ends[neighbourhood] + len(plan)
        turn = permute(np.array([place]), len(plan), self._seed, "order of batches", neighbourhood)
        return self._assemble(plan, int(turn[0]), neighbourhood // self._neighbourhoods)

    def batches_per_epoch(self, epoch: int) -> int:
        """How many batches the epoch has."""
        first = epoch * self._neighbourhoods
        with self._lock:
            while len(self._ends) < first + self._neighbourhoods:
                self._count_next()
        return self._ends[first + self._neighbourhoods - 1] - (self._ends[first - 1] if first else 0)

    def example(self, item: int) -> int:
        """The number of the document that an item is of."""
        return self._items.document(item)

    @property
    def efficiency(self) -> float:
        """Real tokens over all tokens computed in the first epoch, padding included."""
        computed = 0
        for number in range(self._neighbourhoods):
            with self._lock:
                plan = self._plan(number)
            computed += int((np.diff(plan.batch_ends, prepend=0) * plan.widths).sum())
        visited = self._items.order(np.arange(len(self._items)), self._seed, 0)
        return float(self._lengths[visited].sum() / computed)

    def _count_next(self) -> None:
        before = self._ends[-1] if self._ends else 0
        self._ends.append(before + len(self._plan(len(self._ends))))

    def _plan(self, neighbourhood: int) -> _Plan:
        """The batches of a neighbourhood, numbered across epochs."""
        if (plan := self._plans.get(neighbourhood)) is None:
            epoch, place = divmod(neighbourhood, self._neighbourhoods)
            borders = np.arange(place, place + 2) * len(self._items) // self._neighbourhoods
            items = self._items.order(np.arange(*borders), self._seed, epoch)
            plan = self._plans[neighbourhood] = self._arrange(items, neighbourhood)
            while len(self._plans) > _PLANS_KEPT:
                self._plans.popitem(last=False)
        return plan

    def _group(self, items: Integers, _: int) -> _Plan:
        # Stable: items of equal length keep the keyed order, so their company changes from epoch to epoch.
        items = items[np.argsort(-self._lengths[items], kind="stable")]
        ends = cut_into_batches(self._lengths[items], self._tokens_per_batch, self._max_rows)
        return self._one_item_a_row(items, ends)

    def _keep_order(self, items: Integers, _: int) -> _Plan:
        widths = np.full(len(items), self._lengths.max())
        return self._one_item_a_row(items, cut_into_batches(widths, self._tokens_per_batch, self._max_rows))

    def _one_item_a_row(self, items: Integers, ends: Integers) -> _Plan:
        widths = np.maximum.reduceat(self._lengths[items], np.concatenate([[0], ends[:-1]]))
        return _Plan(items, np.arange(1, len(items) + 1), ends, widths)

    def _pack(self, items: Integers, neighbourhood: int) -> _Plan:
        length = self._items.length
        rows = pack(self._lengths[items], length)
        turns = permute(np.arange(len(rows)), len(rows), self._seed, "order of rows", neighbourhood)
        rows = [rows[turn] for turn in turns.tolist()]
        ends = cut_into_batches(np.full(len(rows), length), self._tokens_per_batch, self._max_rows)
        row_ends = np.cumsum([len(row) for row in rows])
        return _Plan(items[np.concatenate(rows)], row_ends, ends, np.full(len(ends), length))

    def _assemble(self, plan: _Plan, number: int, epoch: int) -> Batch:
        items, row_sizes = plan.rows(number)
        tokens, lengths = framed(self._items, items, self._tokenizer, open_ends=self._open_ends)
        width, padding = int(plan.widths[number]), self._tokenizer.pad
        inputs, layout = assemble(tokens, lengths, row_sizes=row_sizes, width=width, padding=padding)
        return Batch(inputs, layout, torch.from_numpy(items.copy()), epoch)


class LabelledBatches:
    """Batches of ``rows`` labelled examples, cut to ``length`` tokens.

    Every epoch is a keyed permutation. What is left over when ``rows`` does not divide the examples is
    left out of that epoch: other examples each time. Fewer examples than ``rows`` make one batch. With ``parts``
    above 1, that many consecutive batches hold one such group between them, its shortest examples first:
    accumulated, they are the same step with half of the padding.
    """

    def __init__(
        self,
        token_arrays: Sequence[Example],
        targets: Targets,
        tokenizer: Tokenizer,
        *,
        rows: int,
        length: int,
        seed: int,
        parts: int = 1,
    ) -> None:
        if not len(token_arrays):
            raise BadDataError("there are no labelled examples to make batches of; give at least one")
        if len(targets) != len(token_arrays):
            raise UsageError(f"{len(token_arrays)} examples but {len(targets)} labels; give one label each")
        self._examples = FramedExamples.of(token_arrays, tokenizer, length)
        self._targets = targets
        self._rows = min(rows, len(token_arrays))
        if not 1 <= parts <= self._rows:
            raise UsageError(
                f"a group of {self._rows} examples cannot be cut into {parts} parts; choose 1 … {self._rows}"
            )
        self._parts = parts
        self._seed = seed

    def batch(self, number: int) -> Batch:
        """The batch of this number, counted from 0 across epochs."""
        group, part = divmod(number, self._parts)
        epoch, place = divmod(group, len(self._examples) // self._rows)
        ranks = np.arange(place * self._rows, (place + 1) * self._rows)
        items = permute(ranks, len(self._examples), self._seed, "order of labelled examples", epoch)
        if self._parts > 1:
            by_length = np.argsort(self._examples.lengths[items], kind="stable")
            items = np.array_split(items[by_length], self._parts)[part]
        return self._targets.into(self._examples.batch(items, epoch=epoch))

    def batches_per_epoch(self, epoch: int) -> int:
        """How many batches the epoch has: the same in every epoch."""
        del epoch
        return len(self._examples) // self._rows * self._parts

    def example(self, item: int) -> int:
        """The item itself."""
        return item


@dataclass(frozen=True, slots=True)
class WindowBatches:
    """Batches of windows over examples; ``examples`` are the numbers of those that each window is of."""

    stream: BatchStream
    examples: Sequence[int]

    def batch(self, number: int) -> Batch:
        """The batch of this number, counted from 0 across epochs."""
        return self.stream.batch(number)

    def batches_per_epoch(self, epoch: int) -> int:
        """How many batches the epoch has."""
        return self.stream.batches_per_epoch(epoch)

    def example(self, item: int) -> int:
        """The number of the example that a window is of."""
        return self.examples[self.stream.example(item)]


def evaluation_batches(
    token_arrays: Sequence[Example], tokenizer: Tokenizer, *, tokens_per_batch: int, length: int
) -> Iterator[Batch]:
    """Every example once, the longest first; ``items`` of each batch are the numbers of its examples."""
    examples = FramedExamples.of(token_arrays, tokenizer, length)
    order = np.argsort(-examples.lengths, kind="stable")
    ends = cut_into_batches(examples.lengths[order], tokens_per_batch, len(order))
    yield from (examples.batch(items) for items in np.split(order, ends[:-1]) if len(items))
