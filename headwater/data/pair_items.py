"""The two sides of pairs, decoded once each and kept as what they become."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from headwater.data.cutting import Cut, watched
from headwater.data.pair_rows import PairRow, PairSet, Place
from headwater.data.problems import Problems
from headwater.data.readers.media import digest_of
from headwater.data.readers.pictures import Pixels
from headwater.data.splits import text_digest

Integers = NDArray[np.int64]
Cuts = tuple[Cut | None, Cut | None]
"""How each side is cut; None of a text."""


@dataclass(frozen=True, slots=True)
class Items:
    """The distinct things of one side: texts, or arrays (H, W, K), and a digest of what each was."""

    contents: Sequence[str] | Sequence[Pixels]
    digests: Integers

    def __len__(self) -> int:
        return len(self.digests)

    def take(self, numbers: Integers) -> "Items":
        """Some of them, in this order."""
        contents = [self.contents[number] for number in numbers.tolist()]
        return Items(cast(Sequence[str] | Sequence[Pixels], contents), self.digests[numbers])


@dataclass(frozen=True, slots=True)
class PairItems:
    """Both sides, and which of their things belong together: (pairs, 2)."""

    first: Items
    second: Items
    pairs: Integers
    rows: list[PairRow]

    def paired(self) -> "PairItems":
        """The same without things that belong to no pair."""
        first, second = (np.unique(column) for column in self.pairs.T)
        numbers = [
            np.searchsorted(kept, column) for kept, column in zip((first, second), self.pairs.T, strict=True)
        ]
        return PairItems(
            self.first.take(first), self.second.take(second), np.stack(numbers, axis=1), self.rows
        )


class Shelf(Protocol):
    """Where the arrays of a side go as they are decoded."""

    def append(self, pixels: Pixels, /) -> None:
        """Keep one more, or not."""
        ...


@dataclass(slots=True)
class Nowhere:
    """Of what is only to be told apart from other things, nothing is kept but its digest."""

    def append(self, pixels: Pixels, /) -> None:
        """Keep nothing."""
        del pixels


Shelves = tuple[Shelf, Shelf]


def pair_items(
    pairs: PairSet,
    cuts: Cuts,
    problems: Problems,
    check: Callable[[], None] | None = None,
    shelves: Shelves | None = None,
) -> PairItems:
    """Decode what the pairs name; a pair of which a side cannot be read is left out, and the reason reported.

    Arrays go to the ``shelves``, one a side, and only without any are they among the contents.
    """
    sides = [
        _items(pairs, side, cut, problems, check, shelves and shelves[side]) for side, cut in enumerate(cuts)
    ]
    (first, first_places), (second, second_places) = sides
    rows = [row for row in pairs.rows if row.first in first_places and row.second in second_places]
    numbers = [(first_places[row.first], second_places[row.second]) for row in rows]
    return PairItems(first, second, np.array(numbers, np.int64).reshape(-1, 2), rows)


def _items(
    pairs: PairSet,
    side: int,
    cut: Cut | None,
    problems: Problems,
    check: Callable[[], None] | None,
    shelf: Shelf | None,
) -> tuple[Items, dict[Place | str, int]]:
    wanted = dict.fromkeys(cast(Place | str, row[side]) for row in pairs.rows)
    if cut is None:
        texts = [str(ref) for ref in wanted]
        digests = np.array([text_digest(text) for text in texts], np.uint64).view(np.int64)
        return Items(texts, digests), {ref: number for number, ref in enumerate(wanted)}
    places: dict[Place | str, int] = {}
    arrays: list[Pixels] = []
    found: list[int] = []
    unread = problems.fresh()
    for medium in watched(pairs.sources(side), unread, check, cut=cut):
        place = Place(medium.path, medium.row)
        if place in wanted:
            places[place] = len(found)
            (arrays if shelf is None else shelf).append(cut.array(medium.content))
            found.append(digest_of(medium.content))
    unread.rows = 0  # they are no rows of their own
    problems.absorb(unread)
    return Items(arrays, np.array(found, np.int64)), places
