"""Error rates of recognised speech."""

from functools import cache

import numpy as np
import pytest

from headwater.errors import BadDataError
from headwater.evaluation.metrics.pairs import pair_report
from headwater.evaluation.metrics.recognition import edits, recognition_report


def slowly(first: str, second: str) -> int:
    """By the recurrence itself."""

    @cache
    def distance(left: int, right: int) -> int:
        if not left or not right:
            return left + right
        same = first[left - 1] == second[right - 1]
        return min(
            distance(left - 1, right) + 1,
            distance(left, right - 1) + 1,
            distance(left - 1, right - 1) + (not same),
        )

    return distance(len(first), len(second))


def test_edits_are_those_of_the_recurrence() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        first, second = ("".join(rng.choice(list("abc"), rng.integers(0, 9))) for _ in range(2))
        assert edits(first, second) == slowly(first, second)


def test_error_rates_divide_sums() -> None:
    found = recognition_report(["one two", "six", ""], ["one two three four", "six", "nine"])
    assert found.word_error_rate.value == pytest.approx(100 * 3 / 6)
    assert found.character_error_rate.value == pytest.approx(100 * (9 + 0 + 4) / (15 + 3 + 4))
    assert found.exact.value == pytest.approx(100 / 3)
    assert found.word_error_rate.low <= 50 <= found.word_error_rate.high
    assert set(found.to_dict()) == {"rows", "wer", "cer", "exact", "examples"}
    with pytest.raises(BadDataError, match="every reference is empty"):
        recognition_report(["a"], [""])


def test_pairs_are_found_both_ways() -> None:
    cosines = np.array([[0.9, 0.1, 0.2], [0.3, 0.2, 0.8], [0.5, 0.6, 0.4]], np.float32)
    right = np.eye(3, dtype=bool)
    report = pair_report(cosines, right, ("pictures", "text"), told="the other side")
    assert report.there.recall_at_1.value == pytest.approx(1 / 3)  # ranks 1, 3, 3
    assert report.there.median_rank == 3
    assert report.back.recall_at_1.value == pytest.approx(1 / 3)  # ranks 1, 2, 2
    assert report.back.recall_at_5.value == 1.0
    assert report.there.chance_at_1 == pytest.approx(1 / 3)
    labels = pair_report(cosines, right | right[[1, 0, 2]], ("pictures", "text"), told="the same label")
    assert labels.there.recall_at_1.value == pytest.approx(1 / 3)
    assert labels.there.recall_at_5.value == 1.0
