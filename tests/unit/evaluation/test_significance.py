"""Intervals and tests, checked by simulation and against scipy."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from headwater.errors import BadDataError
from headwater.evaluation.significance import bootstrap, hierarchical_bootstrap, holm, paired_test

REPEATS = 250
DRAWS = 2_000


def _accuracy(predictions: NDArray[np.generic], labels: NDArray[np.generic]) -> float:
    return float((predictions == labels).mean())


def _experiment(
    rng: np.random.Generator, *, seeds: int, rows: int, seed_spread: float, share: float = 0.7
) -> NDArray[np.float64]:
    """Right or wrong answers of ``seeds`` trained models: rows differ in difficulty, models in ability."""
    difficulty = rng.normal(size=rows) * 0.7**0.5
    ability = rng.normal(size=(seeds, 1)) * seed_spread
    noise = rng.normal(size=(seeds, rows)) * 0.3**0.5
    return (difficulty + ability + noise < stats.norm.ppf(share)).astype(float)


def _long_run_mean(seed_spread: float, share: float = 0.7) -> float:
    return float(stats.norm.cdf(stats.norm.ppf(share) / np.sqrt(1 + seed_spread**2)))


def test_a_bootstrap_interval_is_the_one_scipy_computes():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(3, size=400), rng.integers(3, size=400)
    ours = bootstrap(_accuracy, predictions, labels, rng=np.random.default_rng(1), resamples=4000)
    theirs = stats.bootstrap(
        (predictions == labels,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.value == _accuracy(predictions, labels)
    assert ours.low == pytest.approx(theirs.low, abs=0.005)
    assert ours.high == pytest.approx(theirs.high, abs=0.005)


def test_a_bootstrap_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(REPEATS):
        right = (rng.random(150) < 0.8).astype(int)
        found = bootstrap(_accuracy, right, np.ones(150, dtype=int), rng=rng, resamples=300)
        covered += found.low <= 0.8 <= found.high
    assert 0.90 <= covered / REPEATS <= 0.985


@pytest.mark.parametrize("seed_spread", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("seeds", [3, 5])
def test_an_interval_over_seeds_and_rows_covers_the_truth_at_least_93_times_in_100(
    seeds: int, seed_spread: float
):
    rng = np.random.default_rng(4)
    truth = _long_run_mean(seed_spread)
    found = [
        hierarchical_bootstrap(
            _experiment(rng, seeds=seeds, rows=400, seed_spread=seed_spread),
            rng=np.random.default_rng(5),
            draws=DRAWS,
        )
        for _ in range(REPEATS)
    ]
    covered = np.mean([estimate.low <= truth <= estimate.high for estimate in found])
    assert covered >= 0.93


def test_resampling_three_seeds_would_cover_far_too_little():
    """The reason why the seeds' share follows Student's t."""
    rng = np.random.default_rng(6)
    means = rng.normal(size=(REPEATS, 3))
    resampled = np.stack([means[:, rng.integers(3, size=3)].mean(axis=1) for _ in range(500)], axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) < 0.85


def test_one_seed_gives_the_interval_of_the_test_rows_alone():
    scores = (np.random.default_rng(7).random(500) < 0.6).astype(float)
    found = hierarchical_bootstrap(scores[None], rng=np.random.default_rng(8))
    half_width = 1.96 * scores.std() / np.sqrt(500)
    assert found.low == pytest.approx(scores.mean() - half_width, abs=0.003)
    assert found.high == pytest.approx(scores.mean() + half_width, abs=0.003)


@pytest.mark.parametrize(("seeds", "seed_spread"), [(3, 0.05), (3, 0.3), (5, 0.1)])
def test_two_equal_methods_are_told_apart_at_most_about_5_times_in_100(seeds: int, seed_spread: float):
    rng = np.random.default_rng(9)
    false_alarms = 0
    for _ in range(REPEATS):
        latent = rng.normal(size=400) * 0.7**0.5
        a, b = (
            (
                latent + rng.normal(size=(seeds, 1)) * seed_spread + rng.normal(size=(seeds, 400)) * 0.3**0.5
                < 0.5
            )
            for _ in range(2)
        )
        false_alarms += paired_test(a, b, rng=np.random.default_rng(10), draws=DRAWS).p < 0.05
    assert false_alarms / REPEATS <= 0.08


def test_where_only_seeds_differ_the_test_is_students():
    ability = np.array([0.60, 0.66, 0.63, 0.71])
    ours = paired_test(np.tile(ability[:, None], 50), np.full((4, 50), 0.6), rng=np.random.default_rng(11))
    theirs: Any = stats.ttest_1samp(ability, 0.6)
    assert ours.p == pytest.approx(theirs.pvalue, rel=0.1)


def test_with_one_seed_and_many_rows_the_test_is_the_paired_t_test_over_rows():
    rng = np.random.default_rng(12)
    a, b = rng.random(600) < 0.75, rng.random(600) < 0.70
    ours = paired_test(a, b, rng=np.random.default_rng(13))
    theirs: Any = stats.ttest_rel(a.astype(float), b.astype(float))
    assert ours.p == pytest.approx(theirs.pvalue, rel=0.15, abs=0.005)


def test_a_clear_difference_is_found_with_three_seeds():
    rng = np.random.default_rng(14)
    a = _experiment(rng, seeds=3, rows=1500, seed_spread=0.05, share=0.75)
    b = _experiment(rng, seeds=3, rows=1500, seed_spread=0.05, share=0.50)
    found = paired_test(a, b, rng=np.random.default_rng(15))
    assert found.p < 0.0125  # survives Holm over four budgets
    assert found.difference.low > 0.1


def test_the_test_and_its_interval_never_disagree():
    rng = np.random.default_rng(16)
    for _ in range(40):
        a, b = (_experiment(rng, seeds=3, rows=200, seed_spread=0.1, share=s) for s in (0.72, 0.68))
        found = paired_test(a, b, rng=rng)
        excludes_zero = found.difference.low > 0 or found.difference.high < 0
        if abs(found.p - 0.05) > 0.002:
            assert excludes_zero == (found.p < 0.05)


def test_identical_arms_differ_by_nothing():
    scores = _experiment(np.random.default_rng(17), seeds=3, rows=50, seed_spread=0.1)
    found = paired_test(scores, scores, rng=np.random.default_rng(18))
    assert (found.difference.value, found.p) == (0.0, 1.0)


def test_the_same_generator_gives_the_same_interval():
    scores = _experiment(np.random.default_rng(19), seeds=3, rows=80, seed_spread=0.1)
    first, second = (hierarchical_bootstrap(scores, rng=np.random.default_rng(20)) for _ in range(2))
    assert first == second


def test_holm_follows_the_worked_example():
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 lifted to the 0.06 before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_lies_between_no_correction_and_bonferroni():
    p_values = np.random.default_rng(21).random(6)
    corrected = np.array(holm(list(p_values)))
    assert (corrected >= p_values).all()
    assert (corrected <= np.minimum(1, 6 * p_values)).all()


def test_unequal_inputs_are_refused_with_their_sizes():
    with pytest.raises(BadDataError, match="3 predictions and 2 labels"):
        bootstrap(_accuracy, [1, 2, 3], [1, 2], rng=np.random.default_rng(0))
    with pytest.raises(BadDataError, match="same seeds and rows"):
        paired_test(np.ones((3, 4)), np.ones((2, 4)), rng=np.random.default_rng(0))
