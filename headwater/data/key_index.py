"""An index from 64-bit keys to numbers that grows cheaply and is searched in bulk."""

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Numbers = NDArray[np.int32]
_OWNERS_PER_KEY = 16


class KeyIndex:
    """Many owners for each key, in sorted segments that double in size.

    ``add`` sorts only what is new and merges segments of similar size, so n keys cost O(n log n) in all and
    12 bytes each; a Python dictionary of the same keys would take about ten times the memory.
    """

    def __init__(self) -> None:
        self._segments: list[tuple[Keys, Numbers]] = []

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._segments)

    def add(self, keys: Keys, owners: Numbers) -> None:
        """Register ``owners[i]`` under ``keys[i]``."""
        if not len(keys):
            return
        while self._segments and len(self._segments[-1][0]) <= 2 * len(keys):
            older_keys, older_owners = self._segments.pop()
            keys = np.concatenate((older_keys, keys))
            owners = np.concatenate((older_owners, owners))
        order = np.argsort(keys, kind="stable")
        self._segments.append((keys[order], owners[order]))

    def find(self, keys: Keys) -> tuple[NDArray[np.int64], Numbers]:
        """All pairs (row in ``keys``, owner), the earliest 16 owners of each key in each segment."""
        rows: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        owners: list[Numbers] = [np.zeros(0, dtype=np.int32)]
        order = np.argsort(keys)  # neighbouring searches then walk through neighbouring memory
        keys = keys[order]
        for segment_keys, segment_owners in self._segments:
            left = np.searchsorted(segment_keys, keys, side="left")
            counts = np.minimum(np.searchsorted(segment_keys, keys, side="right") - left, _OWNERS_PER_KEY)
            rows.append(np.repeat(order, counts))
            within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
            owners.append(segment_owners[np.repeat(left, counts) + within])
        return np.concatenate(rows), np.concatenate(owners)

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys are registered."""
        found = np.zeros(len(keys), dtype=np.bool_)
        for segment_keys, _ in self._segments:
            place = np.searchsorted(segment_keys, keys)
            found |= segment_keys[np.minimum(place, len(segment_keys) - 1)] == keys
        return found

    def keys(self) -> Keys:
        """All registered keys, sorted."""
        return np.sort(np.concatenate([np.zeros(0, dtype=np.uint64), *(keys for keys, _ in self._segments)]))
