import math
import warnings
from itertools import pairwise

import pytest
import torch
from transformers import (
    get_cosine_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from headwater.errors import SettingsError
from headwater.training.schedules import SCHEDULES, build_schedule

STEPS, WARMUP = 40, 8


def _optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def _factors(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int = STEPS) -> list[float]:
    factors: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch wants an optimizer step before each scheduler step
        for _ in range(steps):
            factors.append(float(scheduler.get_last_lr()[0]))
            scheduler.step()
    return factors


def test_linear_equals_transformers_after_warm_up() -> None:
    theirs = _factors(get_linear_schedule_with_warmup(_optimizer(), WARMUP, STEPS))
    ours = build_schedule("linear", steps=STEPS, warmup_steps=WARMUP)
    assert [ours(k) for k in range(WARMUP, STEPS)] == pytest.approx(theirs[WARMUP:])


def test_cosine_equals_transformers_after_warm_up() -> None:
    theirs = _factors(get_cosine_schedule_with_warmup(_optimizer(), WARMUP, STEPS))
    ours = build_schedule("cosine", steps=STEPS, warmup_steps=WARMUP)
    assert [ours(k) for k in range(WARMUP, STEPS)] == pytest.approx(theirs[WARMUP:])


def test_cosine_with_a_floor_equals_torch() -> None:
    theirs = _factors(torch.optim.lr_scheduler.CosineAnnealingLR(_optimizer(), T_max=STEPS, eta_min=0.1))
    ours = build_schedule("cosine", steps=STEPS, floor=0.1)
    assert [ours(k) for k in range(STEPS)] == pytest.approx(theirs)


def test_exponential_equals_torch() -> None:
    gamma = 0.01 ** (1 / STEPS)
    theirs = _factors(torch.optim.lr_scheduler.ExponentialLR(_optimizer(), gamma=gamma))
    ours = build_schedule("exponential", steps=STEPS, floor=0.01)
    assert [ours(k) for k in range(STEPS)] == pytest.approx(theirs)


def test_inverse_square_root_is_the_papers_equation_over_its_peak() -> None:
    warmup = WARMUP + 1  # the paper counts steps from 1
    paper = [min(n**-0.5, n * warmup**-1.5) / warmup**-0.5 for n in range(1, STEPS + 1)]
    ours = build_schedule("inverse_square_root", steps=STEPS, warmup_steps=WARMUP)
    assert [ours(k) for k in range(STEPS)] == pytest.approx(paper)


def test_inverse_square_root_equals_transformers_shifted_by_one_step() -> None:
    theirs = _factors(get_inverse_sqrt_schedule(_optimizer(), WARMUP + 1), STEPS + 1)
    ours = build_schedule("inverse_square_root", steps=STEPS, warmup_steps=WARMUP)
    assert [ours(k) for k in range(STEPS)] == pytest.approx(theirs[1:])


def test_warmup_stable_decay_equals_transformers_after_warm_up() -> None:
    theirs = _factors(
        get_wsd_schedule(
            _optimizer(),
            WARMUP,
            num_decay_steps=10,
            num_training_steps=STEPS,
            min_lr_ratio=0.1,
            decay_type="1-sqrt",
        )
    )
    ours = build_schedule("warmup_stable_decay", steps=STEPS, warmup_steps=WARMUP, decay_steps=10, floor=0.1)
    assert [ours(k) for k in range(WARMUP, STEPS)] == pytest.approx(theirs[WARMUP:])


def test_the_stable_part_does_not_depend_on_how_long_the_run_is() -> None:
    short = build_schedule("warmup_stable_decay", steps=40, warmup_steps=4, decay_steps=10)
    long = build_schedule("warmup_stable_decay", steps=90, warmup_steps=4, decay_steps=10)
    assert [short(k) for k in range(31)] == [long(k) for k in range(31)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_climbs_in_a_straight_line_to_the_peak_and_no_step_is_wasted_on_zero(name: str) -> None:
    schedule = build_schedule(name, steps=STEPS, warmup_steps=WARMUP)
    climb = [schedule(k) for k in range(WARMUP + 1)]
    assert climb == pytest.approx([(k + 1) / (WARMUP + 1) for k in range(WARMUP + 1)])
    assert min(schedule(k) for k in range(STEPS)) > 0.0


@pytest.mark.parametrize("name", SCHEDULES)
def test_after_the_peak_a_schedule_never_climbs_and_never_leaves_its_floor(name: str) -> None:
    schedule = build_schedule(name, steps=STEPS, warmup_steps=WARMUP, floor=0.2)
    fall = [schedule(k) for k in range(WARMUP, 3 * STEPS)]
    assert all(later <= earlier for earlier, later in pairwise(fall))
    assert min(fall) >= 0.2 - 1e-12


@pytest.mark.parametrize(
    "name", [name for name in SCHEDULES if name not in ("constant", "inverse_square_root")]
)
def test_a_decay_arrives_at_its_floor_and_stays_there(name: str) -> None:
    schedule = build_schedule(name, steps=STEPS, floor=0.2)
    assert [schedule(STEPS), schedule(10 * STEPS)] == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize("name", SCHEDULES)
def test_one_step_with_one_step_of_warm_up_is_a_run(name: str) -> None:
    assert math.isfinite(build_schedule(name, steps=1, warmup_steps=1)(0))


@pytest.mark.parametrize(
    ("name", "numbers", "words"),
    [
        ("linaer", {}, "choose one of constant, linear"),
        ("linear", {"warmup_steps": 41}, "warmup_steps=41"),
        ("linear", {"decay_steps": 5}, "belongs to warmup_stable_decay"),
        ("warmup_stable_decay", {"decay_steps": 41}, "expected 0 to 40"),
        ("exponential", {"floor": 0.0}, "choose a floor above 0"),
        ("cosine", {"floor": 1.5}, "from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(
    name: str, numbers: dict[str, float], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        build_schedule(name, steps=40, **numbers)  # pyright: ignore[reportArgumentType]
