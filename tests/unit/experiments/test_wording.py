"""The sentence says what the numbers say, and no more."""

import re

import pytest

from headwater.analysis.words import amount_of, count_words, duration, p_words, points
from headwater.experiments.judgement import LabelEquivalence, Pretraining, Summary, Verdict, VerdictWord
from headwater.experiments.plan import Budget
from headwater.experiments.wording import equivalence_words, gain_sentence, plain_table


def _verdict(
    word: VerdictWord, difference: float, p: float | None = 0.01, *, seeds: int = 3, budget: Budget = 32
) -> Verdict:
    return Verdict(
        budget=budget,
        verdict=word,
        difference=difference,
        low=difference - 0.02,
        high=difference + 0.03,
        p=p,
        seeds=seeds,
    )


STAGE = Pretraining(megabytes=41, seconds=660)


def test_a_gain_is_told_as_promised():
    sentence = gain_sentence(
        _verdict("helped", 0.124), pretraining=STAGE, equivalence=LabelEquivalence(times=4.1, beyond=False)
    )
    assert sentence == (
        "Pre-training on 41 MB of your text is worth +12.4 points (95 % 10.4 … 15.4) at 32 labels per class, "
        "about what 4 times the labels would bring; it cost 11 minutes."
    )


def test_no_difference_is_told_as_promised():
    sentence = gain_sentence(
        _verdict("no_difference", 0.004, 0.4),
        pretraining=Pretraining(),
        against_floor=_verdict("no_difference", -0.006, 0.5),
    )
    assert sentence == (
        "Pre-training made no difference that 3 seeds can show: +0.4 points (95 % −1.6 … 3.4) at 32 labels per class "
        "(paired test, p = 0.4). The bag-of-words floor is within 1 point: this task may not need a Transformer."
    )


@pytest.mark.parametrize("word", ["helped", "hurt", "no_difference", "not_enough_seeds"])
@pytest.mark.parametrize("other", ["helped", "hurt", "no_difference", "not_enough_seeds"])
def test_no_difference_in_points_stands_without_its_interval(word: VerdictWord, other: VerdictWord):
    signs = {"helped": 0.1, "hurt": -0.1, "no_difference": -0.02, "not_enough_seeds": -0.03}
    p = {"not_enough_seeds": None}
    sentence = gain_sentence(
        _verdict(word, signs[word], p.get(word, 0.2)),
        pretraining=STAGE,
        against_floor=_verdict(other, signs[other], p.get(other, 0.2)),
        against_parent=_verdict(other, signs[other], p.get(other, 0.2)),
    )
    assert re.findall(r"[\d.]+ points", sentence)
    assert not re.findall(r"[\d.]+ points(?! \(95 %|, 95 %)", sentence)


@pytest.mark.parametrize("word", ["hurt", "no_difference", "not_enough_seeds"])
def test_nothing_is_called_worth_having_unless_the_test_says_so(word: VerdictWord):
    equivalence = LabelEquivalence(times=4.0, beyond=False)
    p = None if word == "not_enough_seeds" else 0.2
    sentence = gain_sentence(_verdict(word, 0.05, p), pretraining=STAGE, equivalence=equivalence)
    assert "worth" not in sentence
    assert "better" not in sentence
    assert "times the labels" not in sentence


def test_a_floor_clearly_above_is_told_with_its_lead():
    sentence = gain_sentence(
        _verdict("helped", 0.2), pretraining=STAGE, against_floor=_verdict("hurt", -0.04, 0.001)
    )
    assert "The bag-of-words floor scores 4.0 points (95 % 1.0 … 6.0) above it" in sentence


def test_a_floor_well_below_is_not_mentioned():
    sentence = gain_sentence(
        _verdict("helped", 0.2), pretraining=STAGE, against_floor=_verdict("helped", 0.04, 0.01)
    )
    assert "floor" not in sentence


@pytest.mark.parametrize(
    ("times", "beyond", "words"),
    [
        (1.1, False, ""),
        (1.52, False, "about what 1.5 times the labels would bring"),
        (3.6, False, "about what 4 times the labels would bring"),
        (44.5, False, "about what 40 times the labels would bring"),
        (44.9, True, "more than 44 times the labels would bring"),
        (1.99, True, "more than 1.9 times the labels would bring"),
    ],
)
def test_label_equivalence_is_rounded_and_never_overstated(times: float, beyond: bool, words: str):
    assert equivalence_words(LabelEquivalence(times=times, beyond=beyond)) == words


def test_numbers_read_as_a_person_would_say_them():
    assert [points(0.1239), points(-0.031, signed=True), points(-0.0001, signed=True)] == [
        "12.4",
        "−3.1",
        "0.0",
    ]
    assert [duration(s) for s in (8, 50, 200, 660, 9000, 400_000)] == [
        "8 seconds",
        "50 seconds",
        "3.3 minutes",
        "11 minutes",
        "2.5 hours",
        "4.6 days",
    ]
    assert [amount_of(size) for size in (0.35, 4.2, 41, 1234)] == ["0.35 MB", "4.2 MB", "41 MB", "1.2 GB"]
    assert [p_words(p) for p in (0.4, 0.0123, 0.0001)] == ["p = 0.4", "p = 0.012", "p < 0.001"]
    assert [count_words(n) for n in (950, 12_345, 6.4e6, 2.1e14, 3e18)] == [
        "950",
        "12.3 k",
        "6.4 M",
        "210 T",
        "3e+18",
    ]


def test_the_console_table_has_a_line_an_arm_and_a_column_a_budget():
    summary = [
        Summary(arm="pretrained", budget="all", mean=0.8, low=0.7, high=0.9, seeds=3),
        Summary(arm="pretrained", budget=8, mean=0.5, low=0.4, high=0.6, seeds=3),
        Summary(arm="scratch", budget=8, mean=0.25, low=0.2, high=0.3, seeds=3),
    ]
    assert plain_table(summary).splitlines() == [
        "labels per class  8                   all",
        "pretrained        50.0 (40.0 … 60.0)  80.0 (70.0 … 90.0)",
        "scratch           25.0 (20.0 … 30.0)  –",
    ]
