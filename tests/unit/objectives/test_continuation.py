"""Only the target of a joined text is asked for."""

import numpy as np
import pytest
import torch

from headwater.data.assembly import FramedExamples
from headwater.data.tokenizer import Tokenizer
from headwater.models import build_model, decoder_settings
from headwater.objectives import Continuation
from headwater.randomness import Draws
from headwater.sequence import Batch

SOURCES = ["the old boat", "a rope", "red sails in the wind"]
TARGETS = ["das alte Boot", "ein Seil", "rote Segel im Wind"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn([*SOURCES, *TARGETS] * 5, 300)


@pytest.fixture(scope="module")
def batch(tokenizer: Tokenizer) -> Batch:
    pairs = list(zip(tokenizer.encode_batch(SOURCES), tokenizer.encode_batch(TARGETS), strict=True))
    return FramedExamples.of(pairs, tokenizer, 64).batch(np.arange(3))


def test_the_targets_are_those_of_the_second_text_and_its_end(tokenizer: Tokenizer, batch: Batch) -> None:
    task = Continuation(tokenizer).prepare(batch, Draws(0, 0, np.arange(3)))
    expected = [[*tokens, tokenizer.sep] for tokens in tokenizer.encode_batch(TARGETS)]
    assert task.targets.tolist() == [token for tokens in expected for token in tokens]


def test_the_loss_is_the_written_out_likelihood_of_each_target(tokenizer: Tokenizer, batch: Batch) -> None:
    model = build_model(decoder_settings("nano", tokenizer.size), head="next_token", seed=1).eval()
    objective = Continuation(tokenizer).eval()
    (term,) = objective.loss(model, objective.prepare(batch, Draws(0, 0, np.arange(3))))
    found = objective.likelihoods(model, batch)
    expected = torch.zeros(3, 2)
    for row, (source, target) in enumerate(
        zip(tokenizer.encode_batch(SOURCES), tokenizer.encode_batch(TARGETS), strict=True)
    ):
        text = [tokenizer.cls, *source, tokenizer.sep, *target, tokenizer.sep]
        alone = FramedExamples.of([(source, target)], tokenizer, 64).batch(np.arange(1))
        scores = model.heads["next_token"](model.encode(alone)[0]).log_softmax(dim=-1)
        for place in range(len(source) + 1, len(text) - 1):
            expected[row] += torch.stack((scores[place, text[place + 1]], torch.tensor(1.0)))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(term.total, -expected[:, 0].sum(), rtol=1e-5, atol=1e-5)
    assert term.count == expected[:, 1].sum()
