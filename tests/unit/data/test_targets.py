"""Passages as targets: a window of each, another one each epoch, equal passages under one number."""

import numpy as np
import pytest

from headwater.data.batches import LabelledBatches
from headwater.data.excerpts import Excerpts
from headwater.data.targets import TargetPassages
from headwater.data.tokenizer import Tokenizer
from headwater.sequence import Batch

LONG = " ".join(f"word{number}" for number in range(30))
PASSAGES = ["a short passage", LONG]
NUMBERS = np.array([0, 1, 1, 0])
LENGTH = 16


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(PASSAGES * 3, 280)


def batches(tokenizer: Tokenizer, seed: int = 0) -> LabelledBatches:
    windows = Excerpts.of(PASSAGES, tokenizer, LENGTH)
    targets = TargetPassages.of(NUMBERS, windows, tokenizer, LENGTH, seed)
    queries = tokenizer.encode_batch([f"query {number}" for number in range(4)])
    return LabelledBatches(queries, targets, tokenizer, rows=4, length=LENGTH, seed=seed)


def said(batch: Batch, tokenizer: Tokenizer) -> dict[int, str]:
    """The text of each item's target."""
    assert batch.targets is not None
    texts = [tokenizer.decode(row) for row in batch.targets.tolist()]
    return dict(zip(batch.items.tolist(), texts, strict=True))


def test_every_row_has_a_window_of_its_own_passage(tokenizer: Tokenizer) -> None:
    batch = batches(tokenizer).batch(0)
    assert batch.labels is not None
    assert batch.labels.tolist() == NUMBERS[batch.items].tolist()
    for item, text in said(batch, tokenizer).items():
        assert text in PASSAGES[NUMBERS[item]]


def test_a_long_passage_shows_other_windows_as_epochs_pass(tokenizer: Tokenizer) -> None:
    stream = batches(tokenizer)
    seen = {said(stream.batch(epoch), tokenizer)[1] for epoch in range(40)}
    assert len(seen) == len(Excerpts.of([LONG], tokenizer, LENGTH))


def test_the_window_depends_on_the_seed_and_the_number_alone(tokenizer: Tokenizer) -> None:
    there_and_back = [batches(tokenizer).batch(number) for number in (3, 0, 3)]
    texts = [said(batch, tokenizer) for batch in there_and_back]
    assert texts[0] == texts[2] == said(batches(tokenizer).batch(3), tokenizer)
