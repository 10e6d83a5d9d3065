"""Several sources mixed by weight, exactly."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from headwater.data.piece_cache import Tokens
from headwater.data.windows import Items
from headwater.errors import UsageError
from headwater.randomness import permute

Integers = NDArray[np.int64]
_STRETCH = 1000


class Turns:
    """Which item stands where: every stretch of 1,000 holds each source in proportion to its weight.

    The places of a stretch are given to the sources by a keyed permutation. Each source is visited in keyed
    permutations of its own, one after another, so a small source with a large weight comes round several
    times while a large one is still in its first. An epoch is as many items as all sources hold; those of a source
    are numbered behind those of the sources before it.
    """

    def __init__(self, counts: Sequence[int], weights: Sequence[float]) -> None:
        if len(counts) != len(weights) or min(weights, default=0) <= 0 or not all(counts):
            raise UsageError(
                f"{len(counts)} sources with the weights {list(weights)}; give each source a weight above 0 "
                "and at least one document, picture, recording or clip that is new"
            )
        self.firsts = np.cumsum([0, *counts])
        self._counts, self._quotas = tuple(counts), _quotas(np.array(weights, np.float64))
        # Of the places of a stretch, unshuffled.
        self._owners = np.repeat(np.arange(len(counts)), self._quotas)

    def __len__(self) -> int:
        return int(self.firsts[-1])

    def rounds(self, amount: float, sizes: Sequence[float]) -> tuple[float, ...]:
        """How often each source has been read from end to end, when all that was read is ``amount`` units.

        ``sizes`` are the units of a usual item of each source.
        """
        items = amount / float((np.array(sizes) * self._quotas).sum()) * self._quotas
        return tuple((items / np.array(self._counts)).tolist())

    def order(self, ranks: Integers, seed: int, epoch: int) -> Integers:
        """The items that stand at these places of an epoch."""
        stretches, places = np.divmod(np.asarray(ranks) + epoch * len(self), _STRETCH)
        items = np.zeros(len(stretches), np.int64)
        for stretch in np.unique(stretches):
            here = stretches == stretch
            turns = permute(places[here], _STRETCH, seed, "mixture", int(stretch))
            items[here] = self._items(turns, int(stretch), seed)
        return items

    def _items(self, turns: Integers, stretch: int, seed: int) -> Integers:
        """The items at these unshuffled places of a stretch, in which the places of a source are neighbours."""
        items = np.zeros(len(turns), np.int64)
        for owner, count in enumerate(self._counts):
            mine = np.flatnonzero(self._owners[turns] == owner)
            quota = int(self._quotas[owner])
            visits = stretch * quota + turns[mine] - self._quotas[:owner].sum()
            rounds, places = np.divmod(visits, count)
            for again in np.unique(rounds):
                now = rounds == again
                purpose = f"order of source {owner}"
                found = permute(places[now], count, seed, purpose, int(again))
                items[mine[now]] = self.firsts[owner] + found
        return items


class Mixture:
    """Windows of texts of several sources, in the order of ``Turns``."""

    def __init__(self, sources: Sequence[Items], weights: Sequence[float]) -> None:
        self._turns = Turns(list(map(len, sources)), weights)
        self.length = max(source.length for source in sources)
        self._sources = tuple(sources)

    def __len__(self) -> int:
        return len(self._turns)

    def order(self, ranks: Integers, seed: int, epoch: int) -> Integers:
        """The items that stand at these places of an epoch."""
        return self._turns.order(ranks, seed, epoch)

    @property
    def lengths(self) -> Integers:
        """How many tokens each item has, [CLS] and [SEP] included."""
        return np.concatenate([source.lengths for source in self._sources])

    def rounds(self, tokens: int) -> tuple[float, ...]:
        """How often each source has been read from end to end when ``tokens`` tokens have been read in all."""
        return self._turns.rounds(tokens, [float(source.lengths.mean()) for source in self._sources])

    def tokens(self, items: Integers) -> Tokens:
        """The tokens of some items one after another, without [CLS] and [SEP]."""
        found = [source.tokens(np.array([item])) for source, item in self._at_home(items)]
        return np.concatenate(found)

    def following(self, items: Integers) -> Integers:
        """The token that comes after each item in its document, -1 where the document ends with it."""
        found = [source.following(np.array([item])) for source, item in self._at_home(items)]
        return np.concatenate(found)

    def document(self, item: int) -> int:
        """The number of the document that an item is of."""
        ((source, own),) = self._at_home(np.array([item]))
        return source.document(own)

    def _at_home(self, items: Integers) -> Iterator[tuple[Items, int]]:
        """The source of each item, and its number there."""
        owners = np.searchsorted(self._turns.firsts, items, side="right") - 1
        for owner, item in zip(owners.tolist(), items.tolist(), strict=True):
            yield self._sources[owner], item - int(self._turns.firsts[owner])


def _quotas(weights: NDArray[np.float64]) -> Integers:
    """How many places of a stretch each source gets: largest remainders, at least one."""
    exact = weights / weights.sum() * _STRETCH
    quotas = np.maximum(1, np.floor(exact)).astype(np.int64)
    while (missing := _STRETCH - int(quotas.sum())) != 0:
        quotas[np.argmax((exact - quotas) * np.sign(missing))] += np.sign(missing)
    return quotas
