"""What is written does not depend on how: cached or not, alone or in company, all at once or a few at a time."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from headwater.errors import UsageError
from headwater.models import (
    EncoderDecoderSettings,
    Model,
    RecurrentSettings,
    build_model,
    decoder_settings,
    encoder_decoder_settings,
    encoder_settings,
    gpt2_settings,
)
from headwater.models.generation import Ending, Prompt, Sampling, write, writer_for
from headwater.models.settings import BackboneSettings
from headwater.models.sizes import PAIR_LAYOUTS, PairLayout

VOCABULARY = 40
END = 2
ENDING = Ending(end=END, padding=0, most=12, pieces=[bytes([65 + token % 26]) for token in range(VOCABULARY)])


def decoder(settings: BackboneSettings | None = None) -> Model:
    model = build_model(settings or decoder_settings("nano", VOCABULARY), head="next_token", seed=1)
    return spread(model)


def translator(layout: PairLayout = "marian") -> Model:
    pair = encoder_decoder_settings("nano", VOCABULARY, layout=layout, max_length=24)
    small = partial(replace, width=32, num_heads=2, feed_forward_width=64)
    settings = EncoderDecoderSettings.of(small(pair.encoder), small(pair.decoder))
    return spread(build_model(settings, head="next_token", seed=1))


def spread(model: Model) -> Model:
    """Larger weights: the words differ enough that no choice hangs on rounding, and no text stays at one word."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def prompts(lengths: Sequence[int], *, sources: bool = False) -> list[Prompt]:
    rng = np.random.default_rng(0)
    return [
        Prompt(
            np.concatenate([[1], rng.integers(4, VOCABULARY, length)]),
            rng.integers(4, VOCABULARY, 3 + 2 * length) if sources else None,
        )
        for length in lengths
    ]


def texts(
    model: Model, given: Sequence[Prompt], sampling: Sampling | None = None, **how: Any
) -> list[list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for item, token, _, _ in write(model, given, sampling or Sampling(), ENDING, **how):
        found[item] += [] if token is None else [token]
    return [found[item] for item in range(len(given))]


def gpt2() -> Model:
    return decoder(gpt2_settings("nano", VOCABULARY))


def by_sums() -> Model:
    return decoder(replace(decoder_settings("nano", VOCABULARY), attention="linear"))


@pytest.mark.parametrize(
    "make",
    [decoder, gpt2, by_sums, translator, partial(translator, "bart"), partial(translator, "t5")],
)
def test_texts_are_the_same_alone_and_in_company(make: Callable[[], Model]):
    model, given = make(), prompts([3, 0, 7, 1], sources=make not in (decoder, gpt2))
    together = texts(model, given)
    assert together == [texts(model, [prompt])[0] for prompt in given]
    assert len({tuple(text) for text in together}) > 1


@pytest.mark.parametrize("make", [decoder, gpt2])
def test_the_cache_changes_no_token(make: type):
    model, given = make(), prompts([3, 0, 7])
    assert texts(model, given) == texts(model, given, cached=False)


@torch.no_grad()
def test_the_cache_changes_no_score():
    model = build_model(decoder_settings("nano", VOCABULARY), head="next_token", seed=1).eval()
    given = prompts([3, 0, 7])
    cached, scores = writer_for(model, given, room=4, padding=0)
    plain, expected = writer_for(model, given, room=4, padding=0, cached=False)
    for step in range(4):
        torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)
        tokens = torch.tensor([[4 + step], [9], [11]])
        scores, expected = cached.feed(tokens), plain.feed(tokens)


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
@torch.no_grad()
def test_a_translator_scores_as_one_pass_over_its_whole_target_does(layout: PairLayout):
    model, (prompt,) = translator(layout), prompts([5], sources=True)
    _, scores = writer_for(model, [prompt], room=1, padding=0)
    writer, _ = writer_for(model, [prompt._replace(tokens=prompt.tokens[:2])], room=4, padding=0)
    stepwise = [writer.feed(torch.tensor([[token]])) for token in prompt.tokens[2:]]
    torch.testing.assert_close(stepwise[-1], scores, atol=1e-5, rtol=0)


@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize(
    "make", [decoder, translator, partial(translator, "bart"), partial(translator, "t5")]
)
def test_more_prompts_than_rows_take_turns_and_write_the_same(make: Callable[[], Model], rows: int):
    model, given = make(), prompts([3, 0, 7, 1, 5, 2, 9, 4, 6], sources=make is not decoder)
    assert texts(model, given, rows=rows) == texts(model, given)


def test_draws_belong_to_the_text_and_not_to_its_company():
    model, given, sampling = decoder(), prompts([3, 0, 7, 1, 5]), Sampling(temperature=1.0, seed=3)
    together = texts(model, given, sampling)
    assert texts(model, given, sampling, rows=2) == together
    assert texts(model, given, Sampling(temperature=1.0, seed=4)) != together


def test_a_recurrent_model_writes_too():
    settings = RecurrentSettings(
        vocabulary_size=VOCABULARY, width=16, depth=1, hidden_width=16, bidirectional=False
    )
    model, given = decoder(settings), prompts([3, 0, 7, 1, 5])
    assert texts(model, given, rows=2) == texts(model, given)


def test_a_text_ends_at_its_end_token_or_after_the_most_tokens():
    lengths = [len(text) for text in texts(decoder(), prompts([3, 0, 7, 1, 5, 2]), Sampling(temperature=3.0))]
    assert max(lengths) <= ENDING.most
    assert min(lengths) < ENDING.most


@torch.no_grad()
def test_a_text_never_reaches_beyond_the_positions_that_are_learnt():
    model, (prompt,) = translator("bart"), prompts([5], sources=True)  # 24 positions, 6 tokens to begin with
    writer_for(model, [prompt], room=19, padding=0)  # the last token is not read again
    with pytest.raises(
        UsageError, match="beyond the 24 positions that the model has learnt; ask for 19 or fewer"
    ):
        writer_for(model, [prompt], room=20, padding=0)
    (long,) = prompts([30], sources=True)
    with pytest.raises(UsageError, match="shorten the prompt"):
        writer_for(model, [long], room=1, padding=0)


def test_a_model_that_reads_both_sides_says_that_it_cannot_write():
    encoder = build_model(encoder_settings("nano", VOCABULARY), head="next_token", seed=0)
    with pytest.raises(UsageError, match="reads both sides cannot write"):
        writer_for(encoder, prompts([1]), room=1, padding=0)
    masked = build_model(encoder_settings("nano", VOCABULARY), head="masked_tokens", seed=0)
    with pytest.raises(UsageError, match="made for masked_tokens cannot write"):
        writer_for(masked, prompts([1]), room=1, padding=0)
    with pytest.raises(UsageError, match="1 prompts with 0 sources"):
        writer_for(translator(), prompts([1]), room=1, padding=0)


@pytest.mark.parametrize("make", [decoder, gpt2, translator])
def test_a_prompt_has_its_own_room_alone_and_in_company(make: Callable[[], Model]):
    rooms, sources = [5, 12, 1, 8], make is translator
    bare = prompts([3, 0, 7, 1], sources=sources)
    given = [prompt._replace(most=room) for prompt, room in zip(bare, rooms, strict=True)]
    model, endless = make(), replace(ENDING, end=VOCABULARY)
    for rows in (1, 2, 32):
        written = [one.item for one in write(model, given, Sampling(), endless, rows=rows)]
        assert [written.count(item) for item in range(len(rooms))] == rooms


def test_a_text_goes_as_far_as_positions_were_learnt():
    model = decoder(gpt2_settings("nano", VOCABULARY, max_length=8))
    given, one_more = prompts([4]), Ending(end=END, padding=0, most=5, pieces=ENDING.pieces)
    assert len(list(write(model, given, Sampling(), replace(one_more, most=4)))) <= 4
    with pytest.raises(UsageError, match="a prompt of 5 tokens and 5 more go beyond the 8 positions"):
        list(write(model, given, Sampling(), one_more))


def test_a_short_prompt_may_have_more_written_to_it_than_positions_leave_to_a_long_one():
    model = decoder(gpt2_settings("nano", VOCABULARY, max_length=8))
    short, long = prompts([0, 5])
    given = [short._replace(most=8), long._replace(most=3)]
    written = [one.item for one in write(model, given, Sampling(), replace(ENDING, end=VOCABULARY))]
    assert (written.count(0), written.count(1)) == (8, 3)
