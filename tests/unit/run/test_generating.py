"""What an author writes to a text does not depend on what else is asked in the same call."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from headwater.data.tokenizer import Tokenizer
from headwater.errors import UsageError
from headwater.interchange import CompiledPen
from headwater.models import Model, build_model, decoder_settings, encoder_decoder_settings, gpt2_settings
from headwater.run.generating import Author, Decoding
from headwater.run.reading import Reader

LENGTH = 96
SENTENCE = "the dog runs over a long green field and nobody knows where it has been all that time"
TOKENIZER = Tokenizer.learn([SENTENCE] * 3, 300)
SHORT, LONG = "a dog runs", " ".join([SENTENCE] * 4)
GREEDY, BEAMS = Decoding(temperature=0.0), Decoding(beam=2, length_penalty=2.0)


def made(settings: Any) -> Model:
    """Random weights so large that no choice hangs on rounding, and that never come to an end by themselves."""
    model = build_model(settings, head="next_token", seed=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def translator() -> Model:
    return made(encoder_decoder_settings("nano", TOKENIZER.size, max_length=LENGTH))


def decoder() -> Model:
    return made(decoder_settings("nano", TOKENIZER.size))


def learnt_positions() -> Model:
    return made(gpt2_settings("nano", TOKENIZER.size, max_length=LENGTH))


def author_of(model: Model, *, compiled: bool = False) -> Author:
    pen = CompiledPen(model, TOKENIZER, "fp32", 1) if compiled else None
    return Author(Reader(model=model, sequencer=TOKENIZER, length=LENGTH, pen=pen), answers=True)


def told(author: Author, texts: list[str], decoding: Decoding) -> list[tuple[str, int, bool]]:
    return [(one["text"], one["tokens"], one["ended"]) for one in author.answer(texts, decoding)]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("decoding", [GREEDY, BEAMS], ids=["greedy", "beams"])
@pytest.mark.parametrize("make", [translator, decoder, learnt_positions])
def test_a_row_is_answered_the_same_alone_and_beside_a_long_one(
    make: Callable[[], Model], decoding: Decoding, compiled: bool
) -> None:
    author = author_of(make(), compiled=compiled)
    texts = [SHORT, LONG, "nobody knows", SHORT]
    together = told(author, texts, decoding)
    assert together == [told(author, [text], decoding)[0] for text in texts]


def test_the_room_of_an_answer_is_half_as_much_again_as_its_own_source() -> None:
    author = author_of(translator())
    ((_, tokens, ended), (_, more, _)) = told(author, [SHORT, LONG], GREEDY)
    size = len(TOKENIZER.encode_batch([SHORT])[0]) + 2
    assert not ended
    assert tokens == size * 3 // 2 + 16
    assert tokens < more <= LENGTH


def test_a_decoder_has_what_its_own_source_leaves_of_the_window() -> None:
    author = author_of(decoder())
    ((_, tokens, ended), (_, less, _)) = told(author, [SHORT, LONG], GREEDY)
    assert not ended
    assert less == LENGTH - LENGTH * 2 // 3  # of a source that fills its part
    assert tokens != less


@pytest.mark.parametrize("decoding", [GREEDY, BEAMS], ids=["greedy", "beams"])
def test_a_blank_source_is_answered_with_an_empty_text_in_its_place(decoding: Decoding) -> None:
    author = author_of(translator())
    first, blank, last = author.answer([SHORT, " ", LONG], decoding)
    assert (blank["text"], blank["tokens"], blank["ended"]) == ("", 0, True)
    assert set(blank) == set(first)
    assert [first["tokens"], last["tokens"]] == [
        tokens for _, tokens, _ in told(author, [SHORT, LONG], decoding)
    ]
    assert list(author.stream("", GREEDY)) == []


@pytest.mark.parametrize("make", [translator, decoder])
def test_sources_that_lose_their_end_are_counted_with_the_longest(make: Callable[[], Model]) -> None:
    author = author_of(make())
    size = len(TOKENIZER.encode_batch([LONG])[0])
    assert f"1 of 2 texts are longer than the {LENGTH - 2 if make is translator else 62}" in author.unread(
        [SHORT, LONG]
    )
    assert f"the longest has {size}" in author.unread([SHORT, LONG])
    assert author.unread([SHORT]) == ""
    assert list(author.remarks([SHORT, LONG], Decoding(max_tokens=5))) == [author.unread([SHORT, LONG])]


@pytest.mark.parametrize("make", [decoder, learnt_positions])
def test_a_beam_that_a_string_ends_counts_and_scores_what_stands_before_it(make: Callable[[], Model]) -> None:
    author = author_of(make())
    (whole,) = author.answer([SHORT], Decoding(beam=1))
    stop = whole["text"][8:11]
    drawn, searched = (
        next(author.answer([SHORT], decoding))
        for decoding in (Decoding(temperature=0.0, stop=(stop,)), Decoding(beam=1, stop=(stop,)))
    )
    assert {name: searched[name] for name in drawn} == drawn
    assert searched["tokens"] < whole["tokens"]
    assert not searched["ended"]
    assert searched["score"] != whole["score"]


def test_a_translation_has_five_beams_unless_something_else_is_asked_for() -> None:
    assert Decoding(max_tokens=20, stop="x").for_translation() == Decoding(max_tokens=20, stop="x", beam=5)
    for asked in (Decoding(beam=2), Decoding(temperature=0.0), Decoding(top_p=0.5)):
        assert asked.for_translation() == asked
    assert Decoding(stop="fan").stops == ("fan",)
    with pytest.raises(UsageError, match="beam = 0; expected a whole number from 1"):
        Decoding(beam=0)
