"""Several sequences in one row: nothing is padded but the end of the row."""

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def pack(lengths: Integers, capacity: int) -> list[list[int]]:
    """Which sequences share a row, so that no row holds more than ``capacity`` tokens.

    Best-fit decreasing: from the longest to the shortest, each sequence goes into the fullest row that still has
    room; the number of rows is at most 11/9 of the best possible, plus 4 (Johnson et al. 1974,
    doi:10.1137/0203025). First-fit decreasing has the same bound and is slower to carry out.
    """
    if len(lengths) and lengths.max() > capacity:
        raise ValueError(f"a sequence of {lengths.max()} tokens does not fit into a row of {capacity}")
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, row), sorted: the fullest row first
    order = np.argsort(-lengths, kind="stable")
    for number, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        place = bisect_left(room, (length, -1))
        free, row = room.pop(place) if place < len(room) else (capacity, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(number)
        if free > length:
            insort(room, (free - length, row))
    return rows
