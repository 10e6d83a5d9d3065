"""Long texts in windows: every character is in one, and each knows its place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.data.excerpts import Excerpts
from headwater.data.tokenizer import Tokenizer

TEXTS = [
    "The rain came early. The boats stayed in the harbour all day, and nobody went out before the evening.",
    "我们今天去公园散步。天气很好！你也来吧？晚上一起吃饭😀，明天再去图书馆看书。",
    "short",
]
LENGTH = 12


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(TEXTS * 4, 300)


def test_a_short_text_is_one_window_of_all_its_characters(tokenizer: Tokenizer) -> None:
    windows = Excerpts.of(["short"], tokenizer, LENGTH)
    assert windows.spans.tolist() == [[0, 5]]
    assert np.array_equal(windows.tokens[0], tokenizer.encode_batch(["short"])[0])


def test_a_window_holds_the_tokens_of_its_characters(tokenizer: Tokenizer) -> None:
    windows = Excerpts.of(TEXTS, tokenizer, LENGTH)
    assert len(windows) > 10
    for text, tokens, (start, stop) in zip(windows.texts, windows.tokens, windows.spans, strict=True):
        assert len(tokens) <= LENGTH - 2
        said = tokenizer.decode(tokens.tolist()).strip("�")  # a character may be cut in two by a border
        assert said in TEXTS[text][start:stop]


@given(st.lists(st.text(min_size=1, max_size=120), min_size=1, max_size=4))
def test_no_character_is_outside_all_windows(texts: list[str]) -> None:
    windows = Excerpts.of(texts, _learnt(), LENGTH)
    for number, text in enumerate(texts):
        own = windows.spans[windows.first[number] : windows.first[number + 1]]
        covered = {place for start, stop in own.tolist() for place in range(start, stop)}
        assert covered == set(range(len(text)))


def test_windows_are_counted_by_text(tokenizer: Tokenizer) -> None:
    windows = Excerpts.of(TEXTS, tokenizer, LENGTH)
    assert windows.first.tolist() == [
        *(int((windows.texts < number).sum()) for number in range(3)),
        len(windows),
    ]
    assert Excerpts.of([], tokenizer, LENGTH).first.tolist() == [0]


_LEARNT: list[Tokenizer] = []


def _learnt() -> Tokenizer:
    """One vocabulary for all examples: hypothesis and fixtures do not mix."""
    if not _LEARNT:
        _LEARNT.append(Tokenizer.learn(TEXTS * 4, 300))
    return _LEARNT[0]
