"""Exact match and F1 against a second way of writing them down, and against what SQuAD's paper says of them."""

import re
import string
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import BadDataError
from headwater.evaluation.metrics.answers import (
    Answered,
    answer_report,
    answer_scores,
    answer_words,
    best_threshold,
    nearest_sentence,
)

WORDS = st.lists(
    st.sampled_from(
        ["the", "The", "a", "cat", "Cat", "sat", "on", "1998", ",", "-", "。", "安娜，la", "娜", "カナ"]
    ),
    max_size=5,
).map(" ".join)
ANSWERS = st.one_of(st.none(), WORDS)


def plain_words(text: str) -> list[str]:
    """The same words by taking the text apart character by character."""
    words, word = [], ""
    for character in [*text.lower(), " "]:
        name = unicodedata.name(character, "")
        if character in "。《》，":
            character = " "
        if character in string.punctuation:
            continue
        alone = name.startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA"))
        if character.isspace() or alone:
            words += [word] if word else []
            word = ""
            words += [character] if alone else []
        else:
            word += character
    return [word for word in words if word not in ("a", "an", "the")]


def by_hand(answer: str | None, reference: str | None) -> tuple[float, float]:
    if answer is None or reference is None:
        return (100.0, 100.0) if answer == reference else (0.0, 0.0)
    mine, theirs = plain_words(answer), plain_words(reference)
    if not mine or not theirs:
        same = not mine and not theirs and answer.strip() == reference.strip()
        return (100.0, 100.0) if same else (0.0, 0.0)
    left, shared = list(theirs), 0
    for word in mine:
        if word in left:
            left.remove(word)
            shared += 1
    precision, recall = shared / len(mine), shared / len(theirs)
    f1 = 2 * precision * recall / (precision + recall) if shared else 0.0
    return 100.0 * (mine == theirs), 100.0 * f1


@given(st.lists(st.tuples(ANSWERS, st.lists(WORDS, max_size=3)), min_size=1, max_size=6))
def test_scores_are_those_written_out(rows: list[tuple[Answered, list[str]]]):
    scores = answer_scores([answer for answer, _ in rows], [texts for _, texts in rows])
    for (answer, texts), found in zip(rows, scores, strict=True):
        each = [by_hand(answer, text) for text in texts or [None]]
        assert found.tolist() == pytest.approx([max(exact for exact, _ in each), max(f1 for _, f1 in each)])


@given(st.text(st.characters(max_codepoint=126), max_size=40))
def test_english_words_are_those_of_squads_rules(text: str):
    small = "".join(character for character in text.lower() if character not in string.punctuation)
    assert answer_words(text) == re.sub(r"\b(a|an|the)\b", " ", small).split()


def test_chinese_characters_are_words_of_their_own():
    assert answer_words("《战国无双3》，ω-force！") == ["战", "国", "无", "双", "3", "ωforce"]
    assert answer_scores(["光荣公司"], [["光荣"]])[0].tolist() == pytest.approx([0.0, 100 * 2 * 2 / 6])


def test_the_best_reference_counts():
    scores = answer_scores(["in 1998"], [["1997", "1998", "in 1998."]])
    assert scores[0].tolist() == [100.0, 100.0]


def test_nothing_is_right_where_there_is_no_answer_and_only_there():
    scores = answer_scores([None, "Anna", None, "..."], [[], [], ["Anna"], []])
    assert scores[:, 0].tolist() == scores[:, 1].tolist() == [100.0, 0.0, 0.0, 0.0]


def test_a_report_tells_questions_with_and_without_an_answer_apart():
    answers = ["Anna"] * 30 + [None] * 10 + ["Bruno"] * 20
    references = [["Anna"]] * 20 + [["Anna Lee"]] * 20 + [[]] * 20
    report = answer_report(answers, references, ["Anna went to Lima"] * 60)
    assert report.answerable is not None
    assert report.unanswerable is not None
    assert (report.answerable.rows, report.unanswerable.rows) == (40, 20)
    assert report.answerable.exact_match.value == pytest.approx(50.0)
    assert report.answerable.f1.value == pytest.approx((20 * 100 + 10 * 200 / 3) / 40)
    assert report.unanswerable.f1.value == 0.0
    assert report.all.exact_match.value == pytest.approx(100 / 3)
    assert report.all.f1.low < report.all.f1.value < report.all.f1.high
    assert "20 that have none" in str(report)
    plain = report.to_dict()
    assert set(plain["f1"]) == set(plain["exact_match"]) == {"value", "low", "high"}
    assert plain["baselines"]["sentence"]["f1"]["value"] > 0


def test_questions_that_all_have_an_answer_are_told_together():
    report = answer_report(["Anna"], [["Anna"]], ["Anna"])
    assert report.answerable is None
    assert "that have none" not in str(report)


def test_the_interval_is_that_of_a_plain_bootstrap():
    rng = np.random.default_rng(3)
    right = rng.random(200) < 0.3
    report = answer_report(["Anna" if hit else "Bruno" for hit in right], [["Anna"]] * 200, ["Anna"] * 200)
    draws = 100 * right[rng.integers(200, size=(4000, 200))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    assert report.all.exact_match.low == pytest.approx(low, abs=1.0)
    assert report.all.exact_match.high == pytest.approx(high, abs=1.0)


@pytest.mark.parametrize(
    ("question", "context", "sentence"),
    [
        (
            "Where did Bruno stay?",
            "Anna went to Lima. Bruno did stay in Accra! She came back.",
            "Bruno did stay in Accra!",
        ),
        ("布鲁诺住在哪里？", "安娜去了利马。布鲁诺住在阿克拉。", "布鲁诺住在阿克拉。"),
        ("Who?", "Nobody knows. Nobody asks.", "Nobody knows."),
        ("Who?", "...", "..."),
    ],
)
def test_the_nearest_sentence_holds_most_of_the_questions_words(question: str, context: str, sentence: str):
    assert nearest_sentence(question, context) == sentence


def test_uneven_answers_are_refused():
    with pytest.raises(BadDataError, match="2 answers to 1 questions"):
        answer_report(["a", "b"], [["a"]], ["a"])


@given(
    st.lists(
        st.tuples(st.floats(-9, 9, allow_subnormal=False), st.integers(0, 4), st.sampled_from([0, 4])),
        min_size=1,
        max_size=8,
        unique_by=lambda row: row[0],
    )
)
def test_no_threshold_is_better_than_the_best(rows: list[tuple[float, int, int]]):
    scores, of_answers, of_nothing = map(list, zip(*rows, strict=True))

    def earned(threshold: float) -> int:
        return sum(nothing if score <= threshold else answer for score, answer, nothing in rows)

    best = best_threshold(scores, of_answers, of_nothing)
    assert earned(best) == max(earned(border) for border in [min(scores) - 1, *scores])
    assert earned(0.0) < earned(best) or best == 0.0


def test_a_threshold_lies_between_the_answers_that_it_tells_apart():
    assert best_threshold([-3.0, 1.0, 2.0, 6.0], [0, 0, 4, 4], [4, 4, 0, 0]) == 1.5
    assert best_threshold([], [], []) == 0.0
