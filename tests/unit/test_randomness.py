"""Draws are functions of their key, and permutations are permutations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.randomness import Draws, key, permute


def test_a_draw_belongs_to_its_item_whatever_stands_beside_it() -> None:
    together = Draws(7, 2, [5, 11, 3]).uniform("mask", 6)
    alone = Draws(7, 2, [11]).uniform("mask", 6)
    assert np.array_equal(together[1], alone[0])


def test_a_longer_draw_begins_with_the_shorter_one() -> None:
    assert np.array_equal(Draws(0, 0, [4]).uniform("mask", 50)[:, :9], Draws(0, 0, [4]).uniform("mask", 9))


@pytest.mark.parametrize("other", [Draws(1, 0, [4]), Draws(0, 1, [4]), Draws(0, 0, [5])])
def test_seed_epoch_and_item_each_change_the_draw(other: Draws) -> None:
    assert not np.array_equal(Draws(0, 0, [4]).uniform("mask", 8), other.uniform("mask", 8))


def test_draws_are_uniform_and_uncorrelated() -> None:
    numbers = Draws(3, 1, np.arange(2000)).uniform("mask", 50)
    assert abs(numbers.mean() - 0.5) < 0.005
    assert abs(numbers.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(numbers[:-1].ravel(), numbers[1:].ravel())[0, 1]) < 0.02
    assert np.histogram(numbers, bins=10, range=(0, 1))[0].std() / numbers.size < 0.002


def test_integers_stay_in_their_range_and_reach_all_of_it() -> None:
    assert set(np.unique(Draws(0, 0, np.arange(200)).integers("crop", 7, 5))) == set(range(7))


@given(count=st.integers(1, 3000), seed=st.integers(0, 2**31), epoch=st.integers(0, 50))
def test_a_permutation_visits_every_item_once(count: int, seed: int, epoch: int) -> None:
    found = permute(np.arange(count), count, seed, "order", epoch)
    assert np.array_equal(np.sort(found), np.arange(count))


def test_a_part_of_a_permutation_needs_no_other_part() -> None:
    whole = permute(np.arange(10_000), 10_000, 1, "order", 0)
    assert np.array_equal(permute(np.array([17, 9_999]), 10_000, 1, "order", 0), whole[[17, 9_999]])


def test_epochs_are_ordered_differently() -> None:
    first, second = (permute(np.arange(500), 500, 1, "order", epoch) for epoch in (0, 1))
    assert (first == second).mean() < 0.05


def test_keys_do_not_collide_by_concatenation() -> None:
    assert key(1, "a", 23) != key(12, "a", 3)
    assert key(1, "a:2", 3) != key(1, "a", 2, 3, 0)
