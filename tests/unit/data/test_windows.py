"""Documents cut into windows: every token once, none without context."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.data.store import write_store
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Windows, framed
from headwater.errors import UsageError


def windows_of(folder: Path, sizes: list[int], length: int, documents: range | None = None) -> Windows:
    ends = np.cumsum([0, *sizes])
    arrays = [np.arange(a, b).astype(np.uint16) for a, b in pairwise(ends)]
    return Windows(write_store(folder / "s.arrow", arrays, range(len(sizes))), length, documents=documents)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(8, 20))
def test_every_token_is_in_exactly_one_window(folder: Path, sizes: list[int], length: int):
    windows = windows_of(folder, sizes, length)
    assert windows.tokens(np.arange(len(windows))).tolist() == list(range(sum(sizes)))
    assert (windows.lengths <= length).all()
    assert (windows.lengths > 2).all()


@given(st.integers(1, 400))
def test_no_window_of_a_long_document_is_shorter_than_a_quarter(folder: Path, size: int):
    windows = windows_of(folder, [size], 42)
    if size > 40:
        assert (windows.lengths - 2).min() >= 10
    assert len(windows) == -(-size // 40)


def test_whole_windows_come_first_and_a_short_rest_shares(folder: Path):
    windows = windows_of(folder, [130, 95, 0, 3], 42)
    assert (windows.lengths - 2).tolist() == [40, 40, 40, 10, 40, 40, 15, 3]
    assert windows.documents.tolist() == [0, 0, 0, 0, 1, 1, 1, 3]
    windows = windows_of(folder, [89], 42)
    assert (windows.lengths - 2).tolist() == [40, 25, 24]


def test_some_documents_can_be_chosen(folder: Path):
    windows = windows_of(folder, [5, 6, 7], 42, range(1, 2))
    assert windows.tokens(np.arange(len(windows))).tolist() == [5, 6, 7, 8, 9, 10]


def test_framed_windows_stand_between_cls_and_sep(folder: Path):
    tokenizer = Tokenizer.learn(["text"], 260)
    windows = windows_of(folder, [3, 2], 8)
    flat, lengths = framed(windows, np.array([1, 0]), tokenizer)
    assert flat.tolist() == [1, 3, 4, 2, 1, 0, 1, 2, 2]
    assert lengths.tolist() == [4, 5]


def test_every_epoch_visits_every_window_in_another_order(folder: Path):
    windows = windows_of(folder, [400], 8)
    ranks = np.arange(len(windows))
    first, second = windows.order(ranks, 1, 0), windows.order(ranks, 1, 1)
    assert sorted(first) == sorted(second) == ranks.tolist()
    assert first.tolist() != second.tolist()


def test_windows_too_short_to_learn_from_are_refused(folder: Path):
    with pytest.raises(UsageError, match="at least 8"):
        windows_of(folder, [5], 4)


def test_an_open_end_holds_the_next_token_of_the_document(folder: Path):
    tokenizer = Tokenizer.learn(["text"], 260)
    windows = windows_of(folder, [100, 3], 42)  # tokens 0 … 99 in windows of 40, 40 and 20; then 100 … 102
    flat, lengths = framed(windows, np.arange(len(windows)), tokenizer, open_ends=True)
    rows = np.split(flat, np.cumsum(lengths)[:-1])
    assert [row[-1] for row in rows] == [40, 80, tokenizer.sep, tokenizer.sep]
    assert all(row[0] == tokenizer.cls for row in rows)
    closed, _ = framed(windows, np.arange(len(windows)), tokenizer)
    assert (np.flatnonzero(flat != closed) == np.cumsum(lengths)[:2] - 1).all()
