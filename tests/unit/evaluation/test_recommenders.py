"""Popularity and item-item against their definitions written out in loops and in scikit-learn's cosines."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics.pairwise import cosine_similarity

from headwater.evaluation.recommenders import REACHES, ItemItem, Popularity, standing_of

ITEMS = 12


@pytest.fixture
def histories() -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    return [rng.choice(ITEMS, rng.integers(2, 9), replace=False) for _ in range(30)]


def test_popularity_counts_users(histories: list[NDArray[np.int64]]):
    repeated = [np.concatenate([history, history]) for history in histories]
    expected = [sum(item in history for history in histories) for item in range(ITEMS)]
    assert Popularity.of(repeated, ITEMS).scores(histories[:1])[0].tolist() == expected


def test_neighbours_are_cosines_between_the_columns_of_users(histories: list[NDArray[np.int64]]):
    found = ItemItem.of(histories, ITEMS)
    had = np.array([[item in history for item in range(ITEMS)] for history in histories], float)
    cosines = cosine_similarity(had.T)
    asked = [history[:-1] for history in histories]
    expected = [cosines[history[-found.reach :]].sum(axis=0) for history in asked]
    np.testing.assert_allclose(found.scores(asked), expected)


def test_the_reach_is_the_one_that_finds_the_last_items_of_what_is_learnt():
    # What follows an item is decided by it alone: everything farther back is noise.
    rng = np.random.default_rng(2)
    pairs = [np.array([*rng.choice(8, 6, replace=False), 8 + 2 * n, 9 + 2 * n]) for n in range(4)] * 5
    assert ItemItem.of(pairs, 16).reach == min(REACHES)


def test_nothing_is_recommended_twice(histories: list[NDArray[np.int64]]):
    popularity = Popularity.of(histories, ITEMS)
    own = np.array([history[0] for history in histories])
    assert standing_of(popularity, histories, own).hit.sum() == 0


def test_an_empty_history_has_no_neighbours(histories: list[NDArray[np.int64]]):
    scores = ItemItem.of(histories, ITEMS).scores([np.zeros(0, np.int64)])
    assert scores.shape == (1, ITEMS)
    assert not scores.any()
