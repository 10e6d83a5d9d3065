"""Which Han characters belong together, against the written-out rule."""

from collections import Counter
from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.data.words import PairCounter


def written_out(texts: list[str]) -> set[str]:
    pairs: Counter[str] = Counter()
    for text in texts:
        pairs.update(a + b for a, b in pairwise(text) if a in HAN and b in HAN)
    first, second = Counter[str](), Counter[str]()
    for pair, count in pairs.items():
        first[pair[0]] += count
        second[pair[1]] += count
    total = pairs.total()
    return {
        pair
        for pair, n in pairs.items()
        if n >= 10 and log(n * total / (first[pair[0]] * second[pair[1]])) >= 3
    }


HAN = [chr(0x4E00 + number) for number in range(60)]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_cohesive_pairs_are_those_of_the_equation(seed: int):
    draw = np.random.default_rng(seed)
    units = [*HAN, *(a + b for a, b in zip(HAN[::7], HAN[3::7], strict=False)), "，", "x"]
    texts = ["".join(draw.choice(units, 40)) for _ in range(60)]
    counter = PairCounter()
    for text in texts:
        counter.add(text)
    assert set(counter.words()) == written_out(texts)


def test_counting_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    texts = ["".join(np.random.default_rng(seed).permutation(HAN)) + "天气" for seed in range(40)]

    def words(characters_a_chunk: int) -> tuple[str, ...]:
        monkeypatch.setattr("headwater.data.words._CHARACTERS_A_CHUNK", characters_a_chunk)
        counter = PairCounter()
        for text in texts:
            counter.add(text)
        return counter.words()

    assert words(100) == words(1 << 20) == ("天气",)


def test_text_without_han_has_no_pairs():
    counter = PairCounter()
    counter.add("only Latin words")
    assert counter.words() == ()
