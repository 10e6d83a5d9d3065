"""Rows are filled, never overfilled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.data.packing import pack


@given(st.lists(st.integers(1, 50), max_size=60))
def test_every_sequence_is_in_one_row_and_no_row_is_overfull(lengths: list[int]):
    rows = pack(np.array(lengths, np.int64), 50)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in row) <= 50 for row in rows)


@given(st.lists(st.integers(1, 50), max_size=60))
def test_at_most_one_row_is_half_empty(lengths: list[int]):
    rows = pack(np.array(lengths, np.int64), 50)
    assert sum(sum(lengths[number] for number in row) <= 25 for row in rows) <= 1


def test_a_perfect_fit_is_found():
    rows = pack(np.array([6, 4, 7, 3, 5, 5]), 10)
    assert sorted(map(sorted, rows)) == [[0, 1], [2, 3], [4, 5]]


def test_a_sequence_longer_than_a_row_is_our_own_mistake():
    with pytest.raises(ValueError, match="11 tokens"):
        pack(np.array([11]), 10)
