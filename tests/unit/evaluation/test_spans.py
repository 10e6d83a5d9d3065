"""Spans counted as conlleval counts them, against a second way of reading tags."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.data.tags import Span, spans_of
from headwater.errors import BadDataError
from headwater.evaluation.metrics.spans import span_report

TAGS = st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=12)


def by_pattern(tags: list[str]) -> list[Span]:
    """The same by a regular expression over one letter a word: small letters go on, capitals begin."""
    letters = "".join({"O": "o", "B-A": "A", "I-A": "a", "B-B": "B", "I-B": "b"}[tag] for tag in tags)
    return [
        Span(match.group()[0].upper(), match.start(), match.end())
        for match in re.finditer("Aa*|Bb*|a+|b+", letters)
    ]


@given(TAGS)
def test_spans_are_those_that_a_pattern_finds(tags: list[str]):
    assert spans_of(tags) == by_pattern(tags)


@given(st.lists(st.tuples(TAGS, st.integers(0, 100)), min_size=1, max_size=6))
def test_scores_are_hits_over_what_was_said_and_what_there_is(sentences: list[tuple[list[str], int]]):
    true = [tags for tags, _ in sentences]
    predicted = [
        [tags[(place + seed) % len(tags)] if seed % 3 else tags[place] for place in range(len(tags))]
        for tags, seed in sentences
    ]
    wanted = {(number, span) for number, tags in enumerate(true) for span in by_pattern(tags)}
    said = {(number, span) for number, tags in enumerate(predicted) for span in by_pattern(tags)}
    report = span_report(true, predicted)
    precision = len(wanted & said) / max(len(said), 1)
    recall = len(wanted & said) / max(len(wanted), 1)
    assert report.precision.value == pytest.approx(precision)
    assert report.recall.value == pytest.approx(recall)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert report.f1.value == pytest.approx(f1)
    assert report.f1.low <= report.f1.value + 1e-12


def test_every_kind_has_its_own_score():
    true = [["B-PER", "I-PER", "O", "B-LOC"]] * 20
    predicted = [["B-PER", "I-PER", "O", "O"]] * 10 + [["B-PER", "O", "O", "B-LOC"]] * 10
    report = span_report(true, predicted)
    scores = {score.kind: score for score in report.kinds}
    assert (scores["LOC"].recall.value, scores["LOC"].precision.value) == (0.5, 1.0)
    assert scores["PER"].precision.value == 0.5
    assert scores["PER"].spans == 20
    assert report.accuracy.value == pytest.approx(0.75)
    assert np.isfinite(report.f1.high)
    assert "PER" in str(report)


def test_uneven_sentences_are_refused():
    with pytest.raises(BadDataError, match="as many tags as words"):
        span_report([["O", "O"]], [["O"]])
