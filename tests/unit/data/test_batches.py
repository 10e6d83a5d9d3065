"""Batches: every item once an epoch, within the budget, laid out as the layout says."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headwater.data.assembly import FramedExamples
from headwater.data.batches import LabelledBatches, TokenBatches, evaluation_batches
from headwater.data.store import write_store
from headwater.data.targets import Labels
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Windows
from headwater.errors import BadDataError, UsageError
from headwater.sequence import Batch, SequenceLayout

SIZES = np.random.default_rng(0).integers(1, 60, 500)
KINDS = [{}, {"packed": True}, {"length_grouping": False}, {"max_rows": 3}]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(["text"], 260)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Windows:
    # The tokens of document n are n + 10: what stands in a row tells where it came from.
    arrays = [np.full(size, number + 10, np.uint16) for number, size in enumerate(SIZES)]
    path = tmp_path_factory.mktemp("store") / "s.arrow"
    return Windows(write_store(path, arrays, range(len(arrays))), 32)


def batches_of(stream: TokenBatches, epoch: int = 0) -> list[Batch]:
    first = sum(stream.batches_per_epoch(before) for before in range(epoch))
    return [stream.batch(first + place) for place in range(stream.batches_per_epoch(epoch))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epoch", [0, 2])
def test_an_epoch_holds_every_window_once(
    windows: Windows, tokenizer: Tokenizer, kind: dict[str, Any], epoch: int
):
    stream = TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1, **kind)
    batches = batches_of(stream, epoch)
    assert Counter(int(item) for batch in batches for item in batch.items) == Counter(range(len(windows)))
    assert {batch.epoch for batch in batches} == {epoch}


def test_an_item_tells_its_document(windows: Windows, tokenizer: Tokenizer):
    stream = TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1, length_grouping=False)
    batch = stream.batch(3)
    documents = [stream.example(int(item)) for item in batch.items]
    assert documents == (batch.inputs[:, 1] - 10).tolist()
    assert documents != batch.items.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_no_batch_exceeds_its_tokens_padding_counted(
    windows: Windows, tokenizer: Tokenizer, kind: dict[str, Any]
):
    stream = TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1, **kind)
    assert max(batch.inputs.numel() for batch in batches_of(stream)) <= 128


@pytest.mark.parametrize("kind", KINDS)
def test_each_item_stands_framed_where_the_layout_says(
    windows: Windows, tokenizer: Tokenizer, kind: dict[str, Any]
):
    stream = TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1, **kind)
    for batch in batches_of(stream):
        assert (batch.inputs[~batch.layout.real] == tokenizer.pad).all()
        documents = [
            row_inputs[row_documents == number]
            for row_inputs, row_documents in zip(batch.inputs, batch.layout.documents, strict=True)
            for number in range(int(row_documents.max()) + 1)
        ]
        for item, document in zip(batch.items.tolist(), documents, strict=True):
            expected = windows.tokens(np.array([item])).tolist()
            assert document.tolist() == [tokenizer.cls, *expected, tokenizer.sep]


def test_a_packed_layout_is_the_written_out_one(windows: Windows, tokenizer: Tokenizer):
    stream = TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1, packed=True)
    for batch in batches_of(stream):
        items = iter(batch.items.tolist())
        lengths = [
            [int(windows.lengths[next(items)]) for _ in range(int(row.max()) + 1)]
            for row in batch.layout.documents
        ]
        expected = SequenceLayout.packed(lengths, 32)
        assert torch.equal(batch.layout.documents, expected.documents)
        assert torch.equal(batch.layout.positions[expected.real], expected.positions[expected.real])


def test_rows_of_one_length_promise_to_be_uniform(windows: Windows, tokenizer: Tokenizer):
    batches = batches_of(TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1))
    assert {batch.layout.uniform for batch in batches} == {True, False}
    for batch in batches:
        same = len(set(windows.lengths[batch.items.numpy()])) == 1
        assert batch.layout.uniform == same
        assert bool(batch.layout.real.all()) or not same


def test_a_batch_is_as_wide_as_its_longest_item(windows: Windows, tokenizer: Tokenizer):
    for batch in batches_of(TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1)):
        assert batch.inputs.shape[1] == windows.lengths[batch.items.numpy()].max()


def test_length_grouping_pads_less_and_packing_fills_rows(windows: Windows, tokenizer: Tokenizer):
    whole = Windows(windows.store, 128)

    def efficiency(**kind: bool) -> float:
        return TokenBatches(whole, tokenizer, tokens_per_batch=512, seed=1, **kind).efficiency

    assert efficiency() > 0.9 > efficiency(length_grouping=False)
    assert efficiency(packed=True) > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_efficiency_is_real_tokens_over_computed_ones(
    windows: Windows, tokenizer: Tokenizer, kind: dict[str, Any]
):
    stream = TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1, **kind)
    batches = batches_of(stream)
    real = sum(int(batch.layout.real.sum()) for batch in batches)
    assert stream.efficiency == pytest.approx(real / sum(batch.inputs.numel() for batch in batches))


def test_batches_of_an_epoch_come_in_mixed_lengths(windows: Windows, tokenizer: Tokenizer):
    stream = TokenBatches(windows, tokenizer, tokens_per_batch=128, seed=1)
    widths = [batch.inputs.shape[1] for batch in batches_of(stream)]
    assert widths != sorted(widths, reverse=True)
    assert min(widths[:8]) < max(widths[:8])


def test_a_batch_too_small_for_a_window_is_refused(windows: Windows, tokenizer: Tokenizer):
    with pytest.raises(UsageError, match="at least 32"):
        TokenBatches(windows, tokenizer, tokens_per_batch=31, seed=1)


def test_an_empty_store_is_refused(tokenizer: Tokenizer, tmp_path: Path):
    empty = Windows(write_store(tmp_path / "s.arrow", [], []), 32)
    with pytest.raises(BadDataError, match="no text"):
        TokenBatches(empty, tokenizer, tokens_per_batch=64, seed=1)


# ---- labelled examples

EXAMPLES = [np.full(size, number + 10, np.uint16) for number, size in enumerate(SIZES[:50])]


def labelled(tokenizer: Tokenizer, rows: int, count: int = 50) -> LabelledBatches:
    return LabelledBatches(
        EXAMPLES[:count], Labels(np.arange(count)), tokenizer, rows=rows, length=24, seed=3
    )


def test_labels_stay_with_their_examples(tokenizer: Tokenizer):
    stream = labelled(tokenizer, 8)
    for number in range(20):
        batch = stream.batch(number)
        assert batch.labels is not None
        assert batch.labels.tolist() == batch.items.tolist()
        assert (batch.inputs[:, 1] - 10).tolist() == batch.items.tolist()
        assert len(batch.items) == 8


def test_a_labelled_epoch_visits_no_example_twice(tokenizer: Tokenizer):
    stream = labelled(tokenizer, 8)
    assert stream.batches_per_epoch(0) == 6
    for epoch in range(3):
        batches = [stream.batch(epoch * 6 + place) for place in range(6)]
        items = [int(item) for batch in batches for item in batch.items]
        assert len(set(items)) == 48
        assert {batch.epoch for batch in batches} == {epoch}


def test_every_example_comes_in_some_epoch(tokenizer: Tokenizer):
    stream = labelled(tokenizer, 32)
    seen = {int(item) for number in range(12) for item in stream.batch(number).items}
    assert seen == set(range(50))


def test_fewer_examples_than_rows_make_one_batch(tokenizer: Tokenizer):
    stream = labelled(tokenizer, 32, count=5)
    assert sorted(stream.batch(7).items.tolist()) == [0, 1, 2, 3, 4]


def test_long_examples_are_cut_and_keep_their_frame(tokenizer: Tokenizer):
    framed = FramedExamples.of([np.arange(10, 40, dtype=np.uint16)], tokenizer, 12)
    assert framed.tokens.tolist() == [1, *range(10, 20), 2]


def test_of_two_texts_the_longer_loses_its_end(tokenizer: Tokenizer):
    pair = (np.arange(10, 13, dtype=np.uint16), np.arange(50, 90, dtype=np.uint16))
    framed = FramedExamples.of([pair, (pair[1], pair[1])], tokenizer, 12)
    assert framed.tokens[:12].tolist() == [1, 10, 11, 12, 2, 50, 51, 52, 53, 54, 55, 2]
    assert framed.tokens[12:].tolist() == [1, 50, 51, 52, 53, 2, 50, 51, 52, 53, 2]


def test_labels_and_examples_must_be_as_many(tokenizer: Tokenizer):
    with pytest.raises(UsageError, match="50 examples but 3 labels"):
        LabelledBatches(EXAMPLES, Labels(np.arange(3)), tokenizer, rows=4, length=24, seed=3)
    with pytest.raises(BadDataError, match="no labelled examples"):
        LabelledBatches([], Labels(np.arange(0)), tokenizer, rows=4, length=24, seed=3)


def test_evaluation_reads_every_example_once(tokenizer: Tokenizer):
    batches = list(evaluation_batches(EXAMPLES, tokenizer, tokens_per_batch=100, length=24))
    assert sorted(int(item) for batch in batches for item in batch.items) == list(range(50))
    assert all(batch.inputs.numel() <= 100 for batch in batches)
    for batch in batches:
        assert (batch.inputs[:, 1] - 10).tolist() == batch.items.tolist()


def test_evaluation_of_nothing_is_nothing(tokenizer: Tokenizer):
    assert list(evaluation_batches([], tokenizer, tokens_per_batch=100, length=24)) == []


def test_parts_of_a_group_hold_its_examples_between_them_the_shortest_first(tokenizer: Tokenizer) -> None:
    arrays = [np.arange(4, 4 + size, dtype=np.uint16) % 200 + 4 for size in (3, 30, 9, 14, 21, 5, 11, 2)]
    labels = np.arange(8)
    whole = LabelledBatches(arrays, Labels(labels), tokenizer, rows=8, length=64, seed=1)
    parted = LabelledBatches(arrays, Labels(labels), tokenizer, rows=8, length=64, seed=1, parts=3)
    for group in range(4):
        parts = [parted.batch(group * 3 + part) for part in range(3)]
        together = torch.cat([part.items for part in parts])
        assert sorted(together.tolist()) == sorted(whole.batch(group).items.tolist())
        lengths = [len(arrays[item]) for item in together.tolist()]
        assert lengths == sorted(lengths)
        for part in parts:
            assert part.labels is not None
            assert part.labels.tolist() == part.items.tolist()
