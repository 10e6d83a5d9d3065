"""The choice of the next token, against transformers' and against counted frequencies."""

from typing import Any

import numpy as np
import pytest
import torch

from headwater.errors import UsageError
from headwater.models.generation import Sampling

VOCABULARY = 50


def logits(rows: int = 4) -> torch.Tensor:
    return 3 * torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(0))


def possible(sampling: Sampling, scores: torch.Tensor) -> set[int]:
    """The tokens that many draws give."""
    many = scores.expand(4000, -1)
    return set(sampling.choose(many, [[]] * len(many), range(len(many)), 0).tolist())


def test_a_temperature_of_zero_takes_the_most_probable():
    scores = logits()
    assert Sampling().choose(scores, [[]] * 4, range(4), 0).tolist() == scores.argmax(-1).tolist()


def test_draws_follow_the_probabilities():
    scores = logits(1)
    drawn = Sampling(temperature=1.5).choose(scores.expand(40_000, -1), [[]] * 40_000, range(40_000), 7)
    frequencies = np.bincount(drawn.numpy(), minlength=VOCABULARY) / 40_000
    np.testing.assert_allclose(frequencies, (scores[0] / 1.5).softmax(-1).numpy(), atol=0.01)


@pytest.mark.parametrize(
    ("sampling", "name", "options"),
    [
        (Sampling(temperature=1.0, top_k=5), "TopKLogitsWarper", {"top_k": 5}),
        (Sampling(temperature=1.0, top_p=0.8), "TopPLogitsWarper", {"top_p": 0.8}),
        (Sampling(temperature=1.0, min_p=0.1), "MinPLogitsWarper", {"min_p": 0.1}),
    ],
)
def test_the_list_is_shortened_as_in_transformers(sampling: Sampling, name: str, options: dict[str, float]):
    from transformers.generation import logits_process

    theirs = getattr(logits_process, name)(**options)
    for scores in logits().split(1):
        kept = theirs(torch.zeros(1, 1, dtype=torch.long), scores)
        left = set(kept.isfinite().nonzero()[:, 1].tolist())
        frequent = set((kept.softmax(-1) > 3e-3).nonzero()[:, 1].tolist())  # 4,000 draws meet these
        assert frequent <= possible(sampling, scores) <= left


def test_repetition_is_punished_as_in_transformers():
    from transformers.generation.logits_process import (
        NoRepeatNGramLogitsProcessor,
        RepetitionPenaltyLogitsProcessor,
    )

    scores, text = logits(1), [3, 4, 5, 3, 4]
    ours = Sampling(repetition_penalty=1.3, no_repeat_ngram=3).ruled(scores, [text])
    given: Any = torch.tensor([text])
    theirs = NoRepeatNGramLogitsProcessor(3)(given, RepetitionPenaltyLogitsProcessor(1.3)(given, scores))
    torch.testing.assert_close(ours, theirs)
    assert ours[0, 5] == float("-inf")


def test_rules_leave_the_given_scores_alone():
    scores = logits(1)
    before = scores.clone()
    Sampling(repetition_penalty=2.0).ruled(scores, [[1, 2]])
    assert torch.equal(scores, before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": 0},
        {"min_p": 2.0},
        {"no_repeat_ngram": -1},
        {"repetition_penalty": 0.0},
    ],
)
def test_impossible_numbers_are_refused(wrong: dict[str, float]):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Sampling(**wrong)  # pyright: ignore[reportArgumentType]
