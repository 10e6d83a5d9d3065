"""Randomness as a function, not a history.

Every random number is a function of (seed, purpose, epoch, item, position). There is no generator state to
save, so a resumed run draws what the uninterrupted one would have drawn, whatever the batch, the number of
prefetchers or ranks. The mixer is SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(seed: int, purpose: str, *numbers: int) -> int:
    """A 64-bit key that belongs to this seed, purpose and numbers alone."""
    text = ":".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class Draws:
    """The random numbers of the examples ``items`` in one epoch of one run.

    Row i of every result belongs to items[i] and does not depend on the other items.
    """

    seed: int
    epoch: int
    items: Sequence[int] | Integers

    def _bits(self, purpose: str, size: int) -> NDArray[np.uint64]:  # (B, size)
        base = np.uint64(key(self.seed, purpose, self.epoch))
        with np.errstate(over="ignore"):
            rows = _mix(np.asarray(self.items, dtype=np.int64).astype(np.uint64) * _GOLDEN + base)
            counters = np.arange(1, size + 1, dtype=np.uint64) * _GOLDEN
            return _mix(rows[:, None] + counters[None, :])

    def uniform(self, purpose: str, size: int) -> NDArray[np.float64]:
        """Numbers in [0, 1), shape (len(items), size)."""
        return (self._bits(purpose, size) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def integers(self, purpose: str, high: int, size: int) -> Integers:
        """Integers in 0 … high - 1, shape (len(items), size)."""
        return np.minimum((self.uniform(purpose, size) * high).astype(np.int64), high - 1)


def permute(index: Integers, count: int, seed: int, purpose: str, epoch: int) -> Integers:
    """Where a keyed permutation of 0 … count - 1 puts each index; O(1) memory, any count.

    A four-round Feistel network over the next even number of bits; values that fall outside the range walk
    on along their cycle until they fall inside (Black and Rogaway 2002, doi:10.1007/3-540-45760-7_9).
    """
    half = max(1, ((max(count, 2) - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    rounds = [np.uint64(key(seed, purpose, epoch, number)) for number in range(4)]

    def encipher(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = values >> np.uint64(half), values & mask
        for round_key in rounds:
            with np.errstate(over="ignore"):
                left, right = right, left ^ (_mix(right * _GOLDEN + round_key) & mask)
        return (left << np.uint64(half)) | right

    values = encipher(np.asarray(index, dtype=np.int64).astype(np.uint64))
    while (outside := values >= np.uint64(count)).any():
        values[outside] = encipher(values[outside])
    return values.astype(np.int64)
