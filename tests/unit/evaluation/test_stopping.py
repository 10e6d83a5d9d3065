"""Advice on synthetic curves whose future is known."""

from collections.abc import Callable

import numpy as np
import pytest

from headwater.evaluation.stopping import advice

STEPS = 1000


def _evaluations(
    loss: Callable[[float], float],
    *,
    count: int = 10,
    noise: float = 0.0,
    seed: int = 0,
    probe: Callable[[float], float] | None = None,
) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    places = np.linspace(STEPS / count, STEPS, count).round().astype(int)
    found = [{"step": int(step), "loss": float(loss(step) + noise * rng.normal())} for step in places]
    for row in found:
        if probe is not None:
            row["probe"] = float(probe(row["step"]))
    return found


def _power_law(step: float) -> float:
    return 2.0 + 8.0 * step**-0.3


def _linear_decay(step: float) -> float:
    return max(0.0, 1.0 - step / 1000)


def test_a_power_law_far_from_its_floor_is_still_improving():
    found = advice(_evaluations(_power_law, noise=0.005))
    assert found.verdict == "still_improving"
    assert found.per_doubling is not None
    assert found.per_doubling == pytest.approx(_power_law(1000) - _power_law(500), abs=0.05)
    assert f"{-found.per_doubling:.3f} per doubling" in found.sentence


def test_a_level_curve_is_flat():
    found = advice(_evaluations(lambda step: 3.0 + 2.0 * np.exp(-step / 60), noise=0.002))
    assert found.verdict == "flat"
    assert "bring little" in found.sentence


def test_a_curve_that_turned_upwards_is_worse_and_names_the_lowest_step():
    found = advice(_evaluations(lambda step: 3.0 + 0.000001 * (step - 400.0) ** 2, noise=0.002))
    assert found.verdict == "worse"
    assert "step 400" in found.sentence


def test_noise_alone_is_rarely_taken_for_progress():
    found = [advice(_evaluations(lambda _: 3.0, noise=0.05, seed=seed)).verdict for seed in range(200)]
    assert found.count("still_improving") + found.count("worse") <= 20


def test_a_fall_that_the_decay_brought_is_not_promised_to_go_on():
    """A plateau while the rate is high, then a fall as it goes to zero: more of the same steps bring nothing."""

    def loss(step: float) -> float:
        return 3.0 + np.exp(-step / 50) - 0.4 * max(0.0, (step - 800) / 200)

    def held_then_decayed(step: float) -> float:
        return 1.0 if step <= 800 else max(0.0, 1 - (step - 800) / 200)

    careless = advice(_evaluations(loss, count=20))
    careful = advice(_evaluations(loss, count=20), learning_rate=held_then_decayed)
    assert careless.verdict == "still_improving"
    assert careful.verdict == "flat"
    assert "came from the decay" in careful.sentence


def test_under_a_linear_decay_a_power_law_asks_for_a_longer_run_not_for_going_on():
    found = advice(_evaluations(_power_law, count=20), learning_rate=_linear_decay)
    assert found.verdict == "still_improving"
    assert found.sentence.startswith("A longer run would pay")
    assert "Start one with more steps" in found.sentence


def test_a_loss_that_stands_still_because_the_rate_is_nought_is_not_called_converged():
    def loss(step: float) -> float:
        return _power_law(min(step, 600))

    found = advice(_evaluations(loss, count=20), learning_rate=lambda step: 1.0 if step < 500 else 0.01)
    assert found.verdict == "still_improving"


def test_a_decay_over_most_of_the_curve_is_admitted():
    found = advice(_evaluations(_power_law, count=6), learning_rate=lambda step: 1.0 if step < 300 else 0.1)
    assert found.verdict == "too_early"
    assert "cannot say" in found.sentence


def test_a_warm_up_is_not_a_decay():
    found = advice(_evaluations(_power_law, count=12), learning_rate=lambda step: min(1.0, step / 400))
    assert found.sentence.startswith("Going on would pay")


def test_a_probe_that_stopped_gaining_is_mentioned():
    found = advice(_evaluations(_power_law, probe=lambda step: 0.7 if step >= 300 else 0.5))
    assert "has not gained since step 300" in found.sentence


def test_three_points_are_no_curve():
    found = advice(_evaluations(_power_law, count=3), steps=1000)
    assert found.verdict == "too_early"
    assert advice([]).verdict == "too_early"


def test_values_that_are_not_finite_are_no_points():
    found = advice([*_evaluations(_power_law), {"step": 1100, "loss": float("nan")}])
    assert found.verdict == "still_improving"
    assert found.to_dict()["verdict"] == "still_improving"
