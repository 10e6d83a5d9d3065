"""CTranslate2 with our weights: the same probabilities, the same texts, whatever the layout."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError, UsageError
from headwater.interchange import CompiledPen, save_ctranslate2
from headwater.interchange.ctranslate2_format import furthest_position
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
from headwater.models.generation import BeamSearch, Ending, OwnPen, Pen, Prompt, Sampling
from headwater.models.settings import BackboneSettings
from headwater.models.sizes import PAIR_LAYOUTS
from headwater.models.transformer import TransformerEncoderDecoder
from headwater.sequence import SequenceLayout

WORDS = ["".join(np.random.default_rng(seed).choice(list("abcdefghij"), 5)) for seed in range(300)]
TOKENIZER = Tokenizer.learn([" ".join(WORDS)] * 2, 400)
SIZE = TOKENIZER.size
ENDING = Ending(end=TOKENIZER.sep, padding=TOKENIZER.pad, most=20, pieces=TOKENIZER.pieces)
DECODER = decoder_settings("nano", SIZE)
CASES: dict[str, BackboneSettings] = {
    "llama": DECODER,
    "llama, one key-value head": replace(DECODER, num_key_value_heads=1),
    "llama, narrow heads": replace(DECODER, head_dim=24, num_key_value_heads=2, rotary_theta=500.0),
    "more rows than words": replace(DECODER, vocabulary_size=SIZE + 11),
    "gpt2": gpt2_settings("nano", SIZE),
    "geglu, norms without bias": replace(DECODER, feed_forward="geglu", norm="layer_without_bias"),
    "alibi": replace(DECODER, positions="alibi"),
    "no positions": replace(DECODER, positions="none", linear_bias=True),
    "norms after, waves": replace(
        DECODER,
        norm_position="after",
        final_norm=False,
        positions="sinusoidal",
        embedding_scale=2.5,
        embedding_norm=True,
    ),
    **{layout: encoder_decoder_settings("nano", SIZE, layout=layout) for layout in PAIR_LAYOUTS},
}


def spread(settings: BackboneSettings) -> Model:
    """Random weights so large that no choice hangs on rounding, biases and norms included."""
    model = build_model(settings, head="next_token", seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            size = 0.3 if parameter.ndim == 1 else 0.08
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture(scope="module", params=CASES)
def model(request: pytest.FixtureRequest) -> Model:
    return spread(CASES[request.param])


def pen_of(model: Model, **more: Any) -> CompiledPen:
    return CompiledPen(model, TOKENIZER, "fp32", 1, **more)


def prompts(model: Model, lengths: tuple[int, ...] = (3, 0, 7, 20)) -> list[Prompt]:
    rng = np.random.default_rng(1)
    pair = isinstance(model.backbone, TransformerEncoderDecoder)

    def words(count: int) -> np.ndarray[Any, Any]:
        return rng.integers(5, SIZE, count)

    return [
        Prompt(
            np.concatenate([[TOKENIZER.cls], words(length)]),
            np.concatenate([[TOKENIZER.cls], words(length + 3), [TOKENIZER.sep]]) if pair else None,
        )
        for length in lengths
    ]


def written(pen: Pen, asked: list[Prompt], sampling: Sampling, ending: Ending = ENDING) -> list[list[Any]]:
    texts: list[list[Any]] = [[] for _ in asked]
    for one in pen.write(asked, sampling, ending):
        texts[one.item].append((one.token, one.text, one.ended))
    return texts


def test_every_token_has_the_same_probability(model: Model) -> None:
    asked = prompts(model)
    rng = np.random.default_rng(2)
    texts = [np.concatenate([prompt.tokens, rng.integers(5, SIZE, 9)]) for prompt in asked]
    names, engine = TOKENIZER.names, pen_of(model)._engine
    for prompt, text in zip(asked, texts, strict=True):
        ours = log_probabilities(model, text, prompt.source)
        known = [names[token] for token in text]
        if prompt.source is None:
            found = engine.score_batch([known])[0].log_probs
        else:
            found = engine.score_batch([[names[token] for token in prompt.source]], [known[1:]])[0].log_probs
        theirs = torch.tensor(found[: len(ours)])
        torch.testing.assert_close(theirs, ours, atol=2e-4, rtol=0)


def log_probabilities(model: Model, text: np.ndarray[Any, Any], source: Any) -> torch.Tensor:
    backbone, tokens = model.backbone, torch.from_numpy(text)[None]
    layout = SequenceLayout.dense(1, len(text))
    with torch.no_grad():
        if isinstance(backbone, TransformerEncoderDecoder):
            read, read_layout = torch.from_numpy(source)[None], SequenceLayout.dense(1, len(source))
            memory = backbone.encode(backbone.embed(read, read_layout), read_layout)
            states = backbone.decode(backbone.embed_target(tokens, layout), layout, memory, read_layout)
        else:
            states = backbone(tokens, layout)
        scores = model.heads["next_token"](states[0, :-1]).log_softmax(-1)
    return scores.gather(1, tokens[0, 1:, None])[:, 0]


def test_the_likeliest_texts_are_the_same_for_prompts_of_any_length(model: Model) -> None:
    asked = prompts(model)
    ours = written(OwnPen(model), asked, Sampling())
    assert written(pen_of(model), asked, Sampling()) == ours
    for prompt, text in zip(asked, ours, strict=True):  # alone: token by token
        assert written(pen_of(model), [prompt], Sampling()) == [text]
    assert written(pen_of(model, rows=2), asked, Sampling()) == ours


def test_beams_find_the_same_texts(model: Model) -> None:
    search = BeamSearch(beams=3, length_penalty=0.0)
    asked = prompts(model)
    ours = OwnPen(model).search(asked, search, ENDING)
    theirs = pen_of(model).search(asked, search, ENDING)
    for mine, other in zip(ours, theirs, strict=True):
        assert other[0].tokens == mine[0].tokens
        assert other[0].score == pytest.approx(mine[0].score, abs=2e-3)
        assert len(other) == 3


def test_every_prompt_has_its_own_room(model: Model) -> None:
    rooms = (4, 17, 1, 9)
    asked = [prompt._replace(most=room) for prompt, room in zip(prompts(model), rooms, strict=True)]
    for sampling in (Sampling(), Sampling(no_repeat_ngram=2)):
        assert written(pen_of(model), asked, sampling) == written(OwnPen(model), asked, sampling)
    search = BeamSearch(beams=3, length_penalty=0.0)
    ours, theirs = (pen.search(asked, search, ENDING) for pen in (OwnPen(model), pen_of(model)))
    assert [found[0].tokens for found in theirs] == [found[0].tokens for found in ours]


def test_a_short_prompt_goes_further_than_positions_leave_to_a_long_one() -> None:
    model = spread(gpt2_settings("nano", SIZE, max_length=24))
    asked = [prompt._replace(most=24 - len(prompt.tokens)) for prompt in prompts(model)]
    assert written(pen_of(model), asked, Sampling()) == written(OwnPen(model), asked, Sampling())


@pytest.mark.parametrize("rules", [Sampling(repetition_penalty=1.3), Sampling(no_repeat_ngram=2)])
@pytest.mark.parametrize("case", ["llama", "m2m_100"])
def test_rules_of_repetition_look_at_the_prompt_too(case: str, rules: Sampling) -> None:
    model = spread(CASES[case])
    asked = prompts(model)
    assert written(pen_of(model), asked, rules) == written(OwnPen(model), asked, rules)


def test_a_text_ends_before_a_stop_string_and_nothing_of_it_is_given() -> None:
    model = spread(DECODER)
    asked = prompts(model)
    whole = "".join(text for _, text, _ in written(OwnPen(model), asked[:1], Sampling())[0])
    ending = replace(ENDING, stops=(whole[4:7],))
    ours, theirs = (written(pen, asked, Sampling(), ending) for pen in (OwnPen(model), pen_of(model)))
    assert theirs == ours
    assert "".join(text for _, text, _ in theirs[0]) == whole[: whole.find(whole[4:7])]


def test_beams_that_a_string_is_to_end_are_refused() -> None:
    model = spread(DECODER)
    with pytest.raises(UsageError, match="ends no beam at a text such as 'x'"):
        pen_of(model).search(prompts(model), BeamSearch(), replace(ENDING, stops=("x",)))


def test_draws_are_repeated_by_their_seed_and_keep_to_their_list() -> None:
    model = spread(DECODER)
    pen, asked = pen_of(model), prompts(model)
    first = written(pen, asked, Sampling(temperature=1.0, seed=3))
    assert written(pen, asked, Sampling(temperature=1.0, seed=3)) == first
    assert written(pen, asked, Sampling(temperature=1.0, seed=4)) != first
    likeliest = written(pen, asked, Sampling())
    assert written(pen, asked, Sampling(temperature=1.0, top_k=1, seed=3)) == likeliest
    assert written(pen, asked, Sampling(temperature=1.0, top_p=1e-6, seed=3)) == likeliest


def test_whoever_leaves_a_text_stops_the_engine() -> None:
    model = spread(DECODER)
    pen = pen_of(model)
    stream = pen.write(prompts(model), Sampling(), replace(ENDING, most=2_000))
    next(iter(stream))
    cast(Any, stream).close()  # returns at once, and the engine takes the next prompts
    assert written(pen, prompts(model), Sampling()) == written(OwnPen(model), prompts(model), Sampling())


def test_int8_is_near_and_smaller() -> None:
    model = spread(DECODER)
    exact, rounded = pen_of(model), CompiledPen(model, TOKENIZER, "int8", 1)
    text = [[TOKENIZER.names[token] for token in range(5, 60)]]
    mine, theirs = (np.array(pen._engine.score_batch(text)[0].log_probs) for pen in (exact, rounded))
    assert 0 < np.abs(mine - theirs).mean() < 0.03 * np.abs(mine).mean()
    assert rounded._engine.compute_type.startswith("int8")


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        (replace(DECODER, windows=(8,) * DECODER.depth), "windows"),
        (replace(DECODER, attention="linear"), "attention='linear'"),
        (replace(DECODER, positions="relative"), "relative positions"),
        (replace(DECODER, norm_position="after", final_norm=True), "final_norm"),
    ],
)
def test_what_the_engine_has_no_place_for_is_named(
    settings: BackboneSettings, part: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=part):
        save_ctranslate2(tmp_path / "model", spread(settings), TOKENIZER)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "build",
    [
        lambda: build_model(encoder_settings("nano", SIZE), head="masked_tokens", seed=0),
        lambda: build_model(
            RecurrentSettings(vocabulary_size=SIZE, width=16, depth=1, hidden_width=16, bidirectional=False),
            head="next_token",
            seed=0,
        ),
    ],
)
def test_what_does_not_write_or_is_no_transformer_is_refused(
    build: Callable[[], Model], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="write"):
        save_ctranslate2(tmp_path / "model", build(), TOKENIZER)


def test_texts_beyond_the_positions_and_draws_it_does_not_know_are_refused() -> None:
    model = spread(gpt2_settings("nano", SIZE, max_length=16))
    with pytest.raises(UsageError, match="16 positions"):
        written(pen_of(model), prompts(model), Sampling())
    assert furthest_position(spread(DECODER)) is None
    with pytest.raises(UsageError, match="min_p"):
        written(pen_of(model), prompts(model, (1,)), Sampling(temperature=1.0, min_p=0.1))


def test_a_pair_and_a_decoder_tell_their_layout() -> None:
    assert {isinstance(settings, EncoderDecoderSettings) for settings in CASES.values()} == {True, False}
