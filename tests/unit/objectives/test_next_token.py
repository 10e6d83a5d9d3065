"""Next token: what is asked for, and what the loss is."""

import math

import pytest
import torch

from headwater.data.tokenizer import Tokenizer
from headwater.models import build_model, decoder_settings
from headwater.objectives import NextToken
from headwater.objectives.next_token import NextTokenTask
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

TEXTS = ["the quick brown fox jumps over the lazy dog", "short words here", "我们今天去公园散步吧"] * 3


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(TEXTS * 3, 300)


def rows_of(tokenizer: Tokenizer) -> list[list[int]]:
    return [[tokenizer.cls, *tokens.tolist(), tokenizer.sep] for tokens in tokenizer.encode_batch(TEXTS)]


def padded(tokenizer: Tokenizer) -> Batch:
    rows = rows_of(tokenizer)
    width = max(map(len, rows))
    inputs = torch.tensor([row + [tokenizer.pad] * (width - len(row)) for row in rows])
    layout = SequenceLayout.padded(torch.tensor([len(row) for row in rows]), width)
    return Batch(inputs, layout, torch.arange(len(rows)))


def packed(tokenizer: Tokenizer) -> Batch:
    rows = rows_of(tokenizer)
    flat = [token for row in rows for token in row]
    layout = SequenceLayout.packed([[len(row) for row in rows]], len(flat))
    return Batch(torch.tensor([flat]), layout, torch.arange(len(rows)))


def prepared(tokenizer: Tokenizer, batch: Batch) -> NextTokenTask:
    return NextToken(tokenizer).prepare(batch, Draws(0, 0, batch.items.numpy()))


@pytest.mark.parametrize("make", [padded, packed])
def test_every_token_but_the_first_of_a_document_is_asked_for(tokenizer: Tokenizer, make: type) -> None:
    task = prepared(tokenizer, make(tokenizer))
    expected = [token for row in rows_of(tokenizer) for token in row[1:]]
    assert task.targets.tolist() == expected
    assert task.counts == {"next_token": len(expected)}


def test_the_bytes_of_the_targets_are_those_of_the_texts(tokenizer: Tokenizer) -> None:
    batch = padded(tokenizer)
    objective = NextToken(tokenizer)
    task = objective.prepare(batch, Draws(0, 0, batch.items.numpy()))
    assert objective.text_bytes(task) == sum(len(text.encode()) for text in TEXTS)


def test_an_untrained_model_pays_the_logarithm_of_the_vocabulary(tokenizer: Tokenizer) -> None:
    model = build_model(decoder_settings("nano", tokenizer.size), head="next_token", seed=0).eval()
    task = prepared(tokenizer, padded(tokenizer))
    with torch.no_grad():
        (term,) = NextToken(tokenizer).loss(model, task)
    assert float(term.total) / term.count == pytest.approx(math.log(tokenizer.size), rel=0.02)


def test_padded_and_packed_documents_cost_the_same(tokenizer: Tokenizer) -> None:
    model = build_model(decoder_settings("nano", tokenizer.size), head="next_token", seed=0).eval()
    objective = NextToken(tokenizer)
    with torch.no_grad():
        losses = [
            float(objective.loss(model, prepared(tokenizer, make(tokenizer)))[0].total)
            for make in (padded, packed)
        ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("make", [padded, packed])
def test_the_surprise_of_each_token_adds_up_to_the_loss(tokenizer: Tokenizer, make: type) -> None:
    model = build_model(decoder_settings("nano", tokenizer.size), head="next_token", seed=0).eval()
    batch, objective = make(tokenizer), NextToken(tokenizer)
    nats = objective.nats(model, batch)
    (term,) = objective.loss(model, objective.prepare(batch, Draws(0, 0, batch.items.numpy())))
    assert nats.shape == (batch.inputs.shape[0], batch.inputs.shape[1] - 1)
    assert int((nats > 0).sum()) == term.count
    assert nats.sum().item() == pytest.approx(term.total.item(), rel=1e-5)
