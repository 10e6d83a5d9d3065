"""The two sides of pairs, decoded once each and kept as what they become."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from headwater.data.cutting import Cut, digest_of, watched
from headwater.data.pairing import PairRow, PairSet, Place
from headwater.data.problems import Problems
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
        return len(self.contents)

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


def pair_items(
    pairs: PairSet, cuts: Cuts, problems: Problems, check: Callable[[], None] | None = None
) -> PairItems:
    """Decode what the pairs name; a pair of which a side cannot be read is left out, and the reason reported."""
    sides = [_items(pairs, side, cut, problems, check) for side, cut in enumerate(cuts)]
    (first, first_places), (second, second_places) = sides
    rows = [row for row in pairs.rows if row.first in first_places and row.second in second_places]
    numbers = [(first_places[row.first], second_places[row.second]) for row in rows]
    return PairItems(first, second, np.array(numbers, np.int64).reshape(-1, 2), rows)


def _items(
    pairs: PairSet, side: int, cut: Cut | None, problems: Problems, check: Callable[[], None] | None
) -> tuple[Items, dict[Place | str, int]]:
    wanted = dict.fromkeys(cast(Place | str, row[side]) for row in pairs.rows)
    if cut is None:
        texts = [str(ref) for ref in wanted]
        digests = np.array([text_digest(text) for text in texts], np.uint64).view(np.int64)
        return Items(texts, digests), {ref: number for number, ref in enumerate(wanted)}
    places: dict[Place | str, int] = {}
    arrays: list[Pixels] = []
    found: list[int] = []
    unread = Problems()
    for medium in watched(pairs.sources(side), unread, check, cut=cut):
        place = Place(medium.path, medium.row)
        if place in wanted:
            places[place] = len(arrays)
            arrays.append(cut.array(medium.content))
            found.append(digest_of(medium.content))
    unread.rows = 0  # they are no rows of their own
    problems.absorb(unread)
    return Items(arrays, np.array(found, np.int64)), places
