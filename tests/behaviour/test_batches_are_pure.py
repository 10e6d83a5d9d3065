"""A batch is a function of (seed, number): not of what was read before, nor of who reads ahead."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from headwater.data.batches import TokenBatches
from headwater.data.prefetch import prefetched
from headwater.data.store import write_store
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Windows
from headwater.sequence import Batch

KINDS = [{}, {"packed": True}, {"length_grouping": False}]


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Windows:
    sizes = np.random.default_rng(0).integers(1, 60, 2000)
    arrays = [np.full(size, number % 1000 + 10, np.uint16) for number, size in enumerate(sizes)]
    path = tmp_path_factory.mktemp("store") / "s.arrow"
    return Windows(write_store(path, arrays, range(len(arrays))), 32)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(["text"], 260)


def fresh(windows: Windows, tokenizer: Tokenizer, kind: dict[str, Any], seed: int = 1) -> TokenBatches:
    return TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=seed, **kind)


def same(one: Batch, other: Batch) -> bool:
    return (
        torch.equal(one.inputs, other.inputs)
        and torch.equal(one.layout.documents, other.layout.documents)
        and torch.equal(one.layout.positions, other.layout.positions)
        and torch.equal(one.items, other.items)
        and one.epoch == other.epoch
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_batch_needs_no_earlier_one(windows: Windows, tokenizer: Tokenizer, kind: dict[str, Any]):
    stream = fresh(windows, tokenizer, kind)
    late = 2 * stream.batches_per_epoch(0) + 17
    read_in_order = [stream.batch(number) for number in range(late + 1)]
    assert read_in_order[late].epoch == 2
    assert same(fresh(windows, tokenizer, kind).batch(late), read_in_order[late])


@pytest.mark.parametrize("kind", KINDS)
def test_reading_backwards_gives_the_same_batches(
    windows: Windows, tokenizer: Tokenizer, kind: dict[str, Any]
):
    stream = fresh(windows, tokenizer, kind)
    forwards = [stream.batch(number) for number in range(0, 700, 7)]
    backwards = [stream.batch(number) for number in reversed(range(0, 700, 7))]
    assert all(map(same, forwards, reversed(backwards)))


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_a_thread_that_reads_ahead_changes_nothing(windows: Windows, tokenizer: Tokenizer, depth: int):
    stream, plain = fresh(windows, tokenizer, {}), fresh(windows, tokenizer, {})
    read_ahead = prefetched(stream.batch, 50, 120, depth)
    assert all(same(batch, plain.batch(number)) for number, batch in enumerate(read_ahead, 50))


def test_several_threads_read_the_same_batches(windows: Windows, tokenizer: Tokenizer):
    stream, plain = fresh(windows, tokenizer, {}), fresh(windows, tokenizer, {})
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(stream.batch, range(0, 1500, 5)))
    assert all(
        same(batch, plain.batch(number)) for number, batch in zip(range(0, 1500, 5), found, strict=True)
    )


def test_another_seed_gives_other_company(windows: Windows, tokenizer: Tokenizer):
    one, other = fresh(windows, tokenizer, {}).batch(0), fresh(windows, tokenizer, {}, seed=2).batch(0)
    assert set(one.items.tolist()) != set(other.items.tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_keeps_other_company_in_the_next_epoch(
    windows: Windows, tokenizer: Tokenizer, kind: dict[str, Any]
):
    stream = fresh(windows, tokenizer, kind)
    ends = [stream.batches_per_epoch(0), stream.batches_per_epoch(0) + stream.batches_per_epoch(1)]
    first = {frozenset(stream.batch(number).items.tolist()) for number in range(ends[0])}
    second = {frozenset(stream.batch(number).items.tolist()) for number in range(*ends)}
    assert len(first & second) < 0.05 * len(first)
