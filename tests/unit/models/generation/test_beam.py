"""Beam search against trying every text."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from headwater.errors import UsageError
from headwater.models import Model, TransformerSettings, build_model
from headwater.models.generation import BeamSearch, Ending, OwnPen, Prompt, Sampling, write
from headwater.sequence import SequenceLayout

VOCABULARY, END, MOST = 5, 2, 4
PROMPT = Prompt(np.array([1, 3]))


def model(seed: int) -> Model:
    settings = TransformerSettings(
        vocabulary_size=VOCABULARY, width=16, depth=1, num_heads=2, feed_forward_width=32, causal=True
    )
    made = build_model(settings, head="next_token", seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return made.eval()


@torch.no_grad()
def log_probability(made: Model, text: tuple[int, ...]) -> float:
    """One pass over the whole text: Σ log p(token | before)."""
    tokens = torch.tensor([[*PROMPT.tokens.tolist(), *text]])
    hidden: Tensor = made.backbone(tokens, SequenceLayout.dense(*tokens.shape))
    scores = made.heads["next_token"](hidden[0]).log_softmax(dim=-1)
    first = len(PROMPT.tokens)
    return float(sum(scores[first - 1 + place, token] for place, token in enumerate(text)))


def every_text() -> list[tuple[int, ...]]:
    others = [token for token in range(VOCABULARY) if token != END]
    ended = [(*text, END) for length in range(MOST) for text in itertools.product(others, repeat=length)]
    return ended + list(itertools.product(others, repeat=MOST))


def best_of_all(made: Model, alpha: float) -> tuple[tuple[int, ...], float]:
    scores = {text: log_probability(made, text) / ((5 + len(text)) / 6) ** alpha for text in every_text()}
    best = max(scores, key=scores.__getitem__)
    return tuple(token for token in best if token != END), scores[best]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0, -1.0])
@pytest.mark.parametrize("seed", range(4))
def test_with_beams_for_every_text_the_best_of_all_is_found(seed: int, alpha: float):
    made = model(seed)
    found = BeamSearch(beams=VOCABULARY**MOST, length_penalty=alpha).search(
        made, [PROMPT], end=END, padding=0, most=MOST
    )[0][0]
    tokens, score = best_of_all(made, alpha)
    assert found.tokens == tokens
    assert found.score == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_a_text_that_a_string_ends_is_scored_to_there_and_the_best_of_all_is_found(seed: int):
    made = model(seed)
    pieces = [bytes([65 + token]) for token in range(VOCABULARY)]
    likeliest = BeamSearch(beams=20).search(made, [PROMPT], end=END, padding=0, most=MOST)[0][0].tokens
    stop = b"".join(pieces[token] for token in likeliest[:2]).decode()
    ending = Ending(end=END, padding=0, most=MOST, pieces=pieces, stops=(stop,))
    ended = {text for text in every_text() if not ending.stopped(text)}
    begun = {text[:size] for text in every_text() for size in range(1, MOST + 1)}
    ended |= {text for text in begun if ending.stopped(text) and not ending.stopped(text[:-1])}
    scores = {text: log_probability(made, text) / ((5 + len(text)) / 6) ** 0.6 for text in ended}
    best = max(scores, key=scores.__getitem__)
    found = OwnPen(made).search([PROMPT], BeamSearch(beams=VOCABULARY**MOST), ending)[0][0]
    assert found.tokens == tuple(token for token in best if token != END)
    assert found.score == pytest.approx(scores[best], abs=1e-4)
    assert all(
        not ending.stopped(text[:-1]) for text, _ in OwnPen(made).search([PROMPT], BeamSearch(), ending)[0]
    )


def test_one_beam_is_the_greedy_choice():
    made = model(1)
    prompts = [PROMPT, Prompt(np.array([1])), Prompt(np.array([1, 4, 3, 3]))]
    ending = Ending(end=END, padding=0, most=MOST, pieces=[b"x"] * VOCABULARY)
    greedy: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for item, token, _, _ in write(made, prompts, Sampling(), ending):
        greedy[item] += [] if token is None else [token]
    found = BeamSearch(beams=1).search(made, prompts, end=END, padding=0, most=MOST)
    assert [list(hypotheses[0].tokens) for hypotheses in found] == list(greedy.values())


def test_beams_of_one_prompt_do_not_depend_on_the_others():
    made, rule = model(2), BeamSearch(beams=3)
    prompts = [PROMPT, Prompt(np.array([1])), Prompt(np.array([1, 4, 3, 3]))]
    together = rule.search(made, prompts, end=END, padding=0, most=MOST)
    for prompt, found in zip(prompts, together, strict=True):
        (alone,) = rule.search(made, [prompt], end=END, padding=0, most=MOST)
        assert [hypothesis.tokens for hypothesis in alone] == [hypothesis.tokens for hypothesis in found]
        scores = [hypothesis.score for hypothesis in found]
        assert scores == sorted(scores, reverse=True)


def test_beams_of_a_prompt_end_where_its_own_room_ends():
    made, rule = model(2), BeamSearch(beams=3)
    prompts = [PROMPT._replace(most=1), Prompt(np.array([1])), Prompt(np.array([1, 4, 3, 3]), most=2)]
    together = rule.search(made, prompts, end=VOCABULARY, padding=0, most=MOST)
    assert [len(found[0].tokens) for found in together] == [1, MOST, 2]
    for prompt, found in zip(prompts, together, strict=True):
        (alone,) = rule.search(made, [prompt], end=VOCABULARY, padding=0, most=prompt.room(MOST))
        assert [hypothesis.tokens for hypothesis in alone] == [hypothesis.tokens for hypothesis in found]


def test_no_beam_repeats_what_it_must_not():
    rules = Sampling(no_repeat_ngram=1)
    found = BeamSearch(beams=3, rules=rules).search(model(0), [PROMPT], end=END, padding=0, most=MOST)[0]
    for hypothesis in found:
        assert len(set(hypothesis.tokens)) == len(hypothesis.tokens)


def test_impossible_numbers_are_refused():
    with pytest.raises(UsageError, match="beams = 0"):
        BeamSearch(beams=0)
    with pytest.raises(UsageError, match="length_penalty = 99"):
        BeamSearch(length_penalty=99.0)
