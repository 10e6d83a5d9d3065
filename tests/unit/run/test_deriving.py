"""What a user did not decide is derived, and what they did decide stays."""

from typing import Any

import pytest

from headwater.errors import SettingsError
from headwater.run.deriving import DEFAULT_MINUTES, Habits, derive_pretraining, derive_rhythm
from headwater.run.settings import DataSettings, ModelSettings, RunSettings, TrainingSettings


def settings(size: str = "tiny", **training: Any) -> RunSettings:
    return RunSettings(
        kind="pretrain",
        data=DataSettings(paths=("notes",)),
        model=ModelSettings(size=size),
        training=TrainingSettings(**training),
    )


def test_without_steps_or_minutes_a_run_takes_ten_minutes() -> None:
    assert derive_pretraining(settings()).training.minutes == DEFAULT_MINUTES
    assert derive_pretraining(settings(steps=5)).training.minutes is None


def test_deriving_twice_changes_nothing() -> None:
    once = derive_rhythm(derive_pretraining(settings(steps=200, average="last")), evaluate=True)
    assert derive_rhythm(derive_pretraining(once), evaluate=True) == once


def test_what_was_given_is_kept() -> None:
    derived = derive_pretraining(settings(steps=9, learning_rate=0.5, length=33, weight_decay=0.0)).training
    assert (derived.learning_rate, derived.length, derived.weight_decay) == (0.5, 33, 0.0)


def test_larger_models_learn_at_smaller_rates_on_larger_batches() -> None:
    found = [
        derive_pretraining(settings(size)).training for size in ("nano", "tiny", "small", "base", "large")
    ]
    rates = [training.learning_rate or 0.0 for training in found]
    tokens = [training.batch_tokens or 0 for training in found]
    assert rates == sorted(rates, reverse=True)
    assert tokens == sorted(tokens)


def test_decay_steps_belong_to_the_schedule_that_has_them() -> None:
    plain = derive_rhythm(derive_pretraining(settings(steps=100)), evaluate=False)
    stable = derive_rhythm(
        derive_pretraining(settings(steps=100, schedule="warmup_stable_decay")), evaluate=False
    )
    assert plain.training.decay_steps is None
    assert stable.training.decay_steps == 20


def test_the_last_weights_are_five_and_span_the_last_tenth_of_the_run() -> None:
    derived = derive_rhythm(derive_pretraining(settings(steps=800, average="last")), evaluate=False).training
    assert (derived.average_last, derived.average_steps) == (5, 20)
    plain = derive_rhythm(derive_pretraining(settings(steps=800)), evaluate=False).training
    assert (plain.average_last, plain.average_steps) == (None, None)


@pytest.mark.parametrize("average", [None, "none", "exponential"])
@pytest.mark.parametrize("name", ["average_last", "average_steps"])
def test_how_many_weights_are_averaged_is_said_of_the_last_ones_alone(average: Any, name: str) -> None:
    changes: dict[str, Any] = {name: 3}
    with pytest.raises(SettingsError, match=rf"training\.{name} belongs to training\.average=last"):
        TrainingSettings(average=average, **changes)


@pytest.mark.parametrize(
    ("schedule", "steps", "expected"),
    [
        ("linear", 400, 20),
        ("inverse_square_root", 400, 100),
        ("inverse_square_root", 40, 10),
        ("inverse_square_root", 1, 1),
        ("inverse_square_root", 4000, 200),
    ],
)
def test_a_rate_that_falls_from_its_peak_on_reaches_it_later(
    schedule: str, steps: int, expected: int
) -> None:
    derived = derive_rhythm(derive_pretraining(settings(steps=steps, schedule=schedule)), evaluate=False)
    assert derived.training.warmup_steps == expected


def test_few_rows_are_seen_for_200_steps_and_many_three_times() -> None:
    assert Habits().steps_for(32, 16) == 200
    assert Habits().steps_for(6400, 16) == 1200


def test_an_unknown_size_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'small'"):
        derive_pretraining(settings("smal"))


@pytest.mark.parametrize("name", ["steps", "minutes", "length", "batch_tokens", "learning_rate"])
def test_numbers_that_must_be_above_zero_are_refused_below(name: str) -> None:
    with pytest.raises(SettingsError, match=f"training.{name} = -1; expected a number above 0"):
        TrainingSettings(**{name: -1})  # pyright: ignore[reportArgumentType]
