"""BM25 against the equation written out, in English and Chinese."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.evaluation.bm25 import BM25, terms

WORDS = st.lists(st.sampled_from(["rain", "wind", "cloud", "storm", "frost"]), min_size=1, max_size=8)


def written_out(query: list[str], document: list[str], documents: list[list[str]]) -> float:
    k1, b = 1.2, 0.75
    mean = sum(map(len, documents)) / len(documents)
    total = 0.0
    for term in query:
        holding = sum(term in other for other in documents)
        frequency = document.count(term)
        idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
        total += (
            idf * frequency * (k1 + 1) / (frequency + k1 * (1 - b + b * len(document) / mean))
            if frequency
            else 0.0
        )
    return total


@given(st.lists(WORDS, min_size=1, max_size=6), WORDS)
def test_scores_are_those_of_the_equation(documents: list[list[str]], query: list[str]) -> None:
    scores = BM25([" ".join(words) for words in documents]).scores([" ".join(query)])[0]
    expected = [written_out(query, document, documents) for document in documents]
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-12)


def test_words_are_folded_and_signs_are_none() -> None:
    assert list(terms("The FAN, the ﬁrst_fan!")) == ["the", "fan", "the", "first", "fan"]


def test_scripts_without_blanks_give_characters_and_their_pairs() -> None:
    assert list(terms("大莱龙铁路GPS")) == [*"大莱龙铁路", "大莱", "莱龙", "龙铁", "铁路", "gps"]


def test_a_pair_of_characters_tells_more_than_the_characters_apart() -> None:
    scores = BM25(["路上有铁", "这条铁路很长", "天气很好"]).scores(["铁路"])[0]
    assert scores.argmax() == 1
    assert scores[0] > scores[2] == 0.0


def test_a_word_that_nobody_has_says_nothing() -> None:
    assert BM25(["rain", "wind"]).scores(["snow", ""]).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_documents_without_words_are_never_found() -> None:
    assert BM25(["...", "rain"]).scores(["rain"])[0][0] == 0.0
    assert BM25(["...", "!"]).scores(["rain"]).tolist() == [[0.0, 0.0]]


@pytest.mark.data
def test_most_questions_find_their_paragraph_by_its_words(data_sets: object) -> None:
    import json
    from pathlib import Path

    path = Path(str(data_sets)) / "qa" / "cmrc2018_zh" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    passages = list(dict.fromkeys(row["context"] for row in rows))
    scores = BM25(passages).scores([row["question"] for row in rows])
    right = np.array([passages.index(row["context"]) for row in rows])
    assert (scores.argmax(axis=1) == right).mean() > 0.9
