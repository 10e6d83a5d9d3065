"""Recommendations without a model, for a model to be compared with: what is popular, and what goes with the last items.

Shape letters: U users learnt from, N histories asked about, V items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from headwater.evaluation.metrics.ranking import Standing

Integers = NDArray[np.integer[Any]]
Scores = NDArray[np.float64]
REACHES = (1, 2, 3, 5, 10, 20, 50)
"""How many of the last items a neighbourhood may look at: tried on the histories that it learns from."""
TRIED_ON = 2_000
"""Histories whose last items choose among them."""
_HISTORIES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Popularity:
    """The same for everybody: how many users had each item."""

    users: Scores  # (V,)

    @classmethod
    def of(cls, histories: Sequence[Integers], items: int) -> Self:
        """Counted over the histories; an item that a user had twice counts once."""
        return cls(_who_had_what(histories, items).sum(axis=0).A1)

    def scores(self, histories: Sequence[Integers]) -> Scores:
        """(N, V)."""
        return np.tile(self.users, (len(histories), 1))


@dataclass(frozen=True, slots=True)
class ItemItem:
    """Σ over the last ``reach`` items i of cos(i, j): items that the same users had.

    cos(i, j) = n_ij / √(n_i n_j), n_ij users that had both. Sarwar et al. 2001, section 3, doi:10.1145/371920.372071.
    """

    had: Any  # (U, V), sparse
    shrink: Scores  # (V,) 1 / √n_i
    reach: int

    @classmethod
    def of(cls, histories: Sequence[Integers], items: int) -> Self:
        """Counted over the histories; the reach is the one that best finds their last items from the rest of them."""
        asked = [history for history in histories if len(history) > 1]
        before, last = [history[:-1] for history in asked], np.array([h[-1] for h in asked], np.int64)
        tried, chosen = before[:TRIED_ON], last[:TRIED_ON]
        reach = max(REACHES, key=lambda reach: _found(cls._counted(before, items, reach), tried, chosen))
        return cls._counted(histories, items, reach)

    @classmethod
    def _counted(cls, histories: Sequence[Integers], items: int, reach: int) -> Self:
        had = _who_had_what(histories, items)
        return cls(had, 1.0 / np.sqrt(np.maximum(had.sum(axis=0).A1, 1.0)), reach)

    def scores(self, histories: Sequence[Integers]) -> Scores:
        """(N, V): Hᵀ H is never formed, its products with the histories are."""
        last = _who_had_what([history[-self.reach :] for history in histories], len(self.shrink))
        together = self.had.T @ (self.had @ last.multiply(self.shrink).T)
        return together.toarray().T * self.shrink


Recommender = Popularity | ItemItem


def standing_of(
    recommender: Recommender, histories: Sequence[Integers], chosen: NDArray[np.int64]
) -> Standing:
    """Where each chosen item stands among all but those of its history."""
    parts: list[Standing] = []
    for start in range(0, len(histories), _HISTORIES_AT_ONCE):
        part = histories[start : start + _HISTORIES_AT_ONCE]
        scores = without_own(recommender.scores(part), part)
        parts.append(Standing.of(scores, chosen[start : start + len(part)]))
    return Standing(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def without_own(
    scores: NDArray[np.floating[Any]], histories: Sequence[Integers]
) -> NDArray[np.floating[Any]]:
    """The scores (N, V) with −∞ for the items of each user's own history: nothing is recommended twice."""
    for row, history in zip(scores, histories, strict=True):
        row[history] = -np.inf
    return scores


def _found(recommender: Recommender, histories: Sequence[Integers], chosen: NDArray[np.int64]) -> float:
    return float(standing_of(recommender, histories, chosen).gain.mean()) if histories else 0.0


def _who_had_what(histories: Sequence[Integers], items: int) -> Any:
    """1 where user (row) had the item (column): (U, V), sparse."""
    from scipy.sparse import csr_matrix  # heavy, and needed for baselines alone

    sizes = [len(history) for history in histories]
    columns = np.concatenate([np.zeros(0, np.int64), *histories]).astype(np.int64)
    rows = np.repeat(np.arange(len(histories)), sizes)
    cells: Any = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(histories), items))
    cells.data[:] = 1.0
    return cells
