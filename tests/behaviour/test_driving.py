"""Between two steps: averages, evaluations, the best weights, and stops that lose nothing."""

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headwater.errors import InterruptedRunError, PreemptedError, SettingsError
from headwater.models import build_model, encoder_settings
from headwater.objectives import Classification
from headwater.run.driving import Drive, Evaluate
from headwater.run.folder import RunFolder
from headwater.run.journey import Journey
from headwater.run.learning import set_activation_checkpointing, weight_average
from headwater.run.settings import TrainingSettings
from headwater.sequence import Batch, SequenceLayout
from headwater.training.checkpoint import CheckpointFolder
from headwater.training.events import read_events
from headwater.training.loop import train
from headwater.training.optimizers import build_optimizer
from headwater.training.plan import Learner, Plan
from headwater.training.progress import Progress
from headwater.training.schedules import build_schedule
from headwater.training.signals import StopRequests

ROWS, LENGTH = 6, 8
Weights = dict[str, torch.Tensor]


def batch_of(number: int) -> Batch:
    generator = torch.Generator().manual_seed(number)
    inputs = torch.randint(4, 60, (ROWS, LENGTH), generator=generator)
    labels = torch.randint(0, 2, (ROWS,), generator=generator)
    return Batch(inputs, SequenceLayout.dense(ROWS, LENGTH), torch.arange(ROWS), labels=labels)


def new_learner() -> Learner:
    settings = replace(encoder_settings("nano", 60), width=32, num_heads=2, feed_forward_width=48)
    model = build_model(settings, head="classification", seed=0, classes=2)
    optimizer = build_optimizer("adamw", model.named_parameters(), learning_rate=1e-2)
    return Learner(model, Classification(["0", "1"]), optimizer)


def weights(learner: Learner) -> Weights:
    return {name: parameter.detach().clone() for name, parameter in learner.model.named_parameters()}


def equal(one: Weights, other: Weights) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def plan(steps: int, **changes: Any) -> Plan:
    return replace(Plan(steps=steps, seed=5, schedule=build_schedule("constant", steps=steps)), **changes)


@dataclass
class Trip:
    """One drive through a run folder."""

    folder: Path
    steps: int = 12
    evaluate: Evaluate | None = None
    settings: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.learner = new_learner()
        self.stop = StopRequests()
        self.said = io.StringIO()
        self.batch_of: Callable[[int], Batch] = batch_of

    def __call__(self) -> Journey:
        settings: dict[str, Any] = {"checkpoint_steps": 100, **(self.settings or {})}
        training = TrainingSettings(**settings)
        return Drive(
            folder=RunFolder(self.folder),
            learner=self.learner,
            batch_of=self.batch_of,
            plan=plan(self.steps, prefetch=0),
            training=training,
            progress=Progress(stream=self.said),
            stop=self.stop,
            evaluate=self.evaluate,
            average=weight_average(self.learner.model, training),
        )()

    @property
    def store(self) -> CheckpointFolder:
        return CheckpointFolder(self.folder / "checkpoints")


def scripted(losses: Iterable[float]) -> Evaluate:
    """An evaluation that finds these losses, one after another."""
    left = iter(losses)
    return lambda: {"loss": next(left)}


def weights_after_each_step(steps: int) -> list[Weights]:
    learner = new_learner()
    return [weights(learner) for _ in train(learner, batch_of, plan(steps))]


def test_what_is_shipped_is_the_average_written_out(tmp_path: Path) -> None:
    trip = Trip(tmp_path, steps=5, settings={"average": "exponential"})
    trip()
    average = weights(new_learner())
    for step, after in enumerate(weights_after_each_step(5)):
        decay = min(0.999, (1 + step) / (10 + step))
        average = {name: decay * average[name] + (1 - decay) * after[name] for name in average}
    shipped = weights(trip.learner)
    for name, mean in average.items():
        torch.testing.assert_close(shipped[name], mean, rtol=1e-5, atol=1e-7)


def test_evaluations_judge_the_average_and_training_goes_on_without_it(tmp_path: Path) -> None:
    seen: list[Weights] = []

    def evaluate() -> dict[str, float]:
        seen.append(weights(trip.learner))
        return {"loss": 1.0}

    trip = Trip(tmp_path, 6, evaluate, {"average": "exponential", "evaluation_steps": 3})
    trip()
    plain = weights_after_each_step(6)
    assert not equal(seen[0], plain[2])
    assert equal(trip.store.newest().tensors("model"), plain[5])  # pyright: ignore[reportOptionalMemberAccess]
    assert equal(seen[-1], weights(trip.learner))


LAST_THREE = {"average": "last", "average_last": 3, "average_steps": 2, "steps": 12}


@pytest.mark.parametrize("settings", [{"average": "exponential"}, LAST_THREE])
@pytest.mark.parametrize("step", [1, 7, 10])
def test_an_average_that_was_stopped_goes_on_to_the_bit(
    tmp_path: Path, settings: dict[str, Any], step: int
) -> None:
    straight = Trip(tmp_path / "straight", settings=settings)
    straight()
    stopped = Trip(tmp_path / "stopped", settings=settings)
    stopped.batch_of = asked_at(step, stopped.stop)
    with pytest.raises(InterruptedRunError):
        stopped()
    resumed = Trip(tmp_path / "stopped", settings=settings)
    resumed()
    assert equal(weights(resumed.learner), weights(straight.learner))


def mean(some: list[Weights]) -> Weights:
    """The mean as numpy finds it."""
    stacked = {name: np.stack([weights[name].numpy() for weights in some]) for name in some[0]}
    return {name: torch.from_numpy(rows.mean(axis=0, dtype=np.float64)) for name, rows in stacked.items()}


def alike(one: Weights, other: Weights) -> bool:
    return all(torch.allclose(one[name].double(), other[name].double(), atol=1e-7) for name in one)


def test_what_is_shipped_is_the_mean_of_the_last_weights_at_their_distance(tmp_path: Path) -> None:
    trip = Trip(tmp_path, settings=LAST_THREE)
    trip()
    plain = weights_after_each_step(12)
    assert alike(weights(trip.learner), mean([plain[7], plain[9], plain[11]]))
    assert not alike(weights(trip.learner), plain[11])
    assert equal(trip.store.newest().tensors("model"), plain[11])  # pyright: ignore[reportOptionalMemberAccess]


def test_evaluations_judge_the_mean_of_the_weights_so_far(tmp_path: Path) -> None:
    seen: list[Weights] = []

    def evaluate() -> dict[str, float]:
        seen.append(weights(trip.learner))
        return {"loss": 1.0}

    # Of 7 steps the first, third, fifth and seventh are kept.
    settings = {**LAST_THREE, "steps": 7, "average_last": 2, "evaluation_steps": 1}
    trip = Trip(tmp_path, 7, evaluate, settings)
    trip()
    plain = weights_after_each_step(7)
    assert equal(seen[1], plain[0])
    assert alike(seen[3], mean([plain[0], plain[2]]))
    assert alike(seen[6], mean([plain[4], plain[6]]))
    assert equal(trip.store.newest().tensors("model"), plain[6])  # pyright: ignore[reportOptionalMemberAccess]


def test_early_stopping_ships_the_mean_that_was_the_best(tmp_path: Path) -> None:
    settings = {**LAST_THREE, "early_stopping": 1, "evaluation_steps": 4}
    trip = Trip(tmp_path, 12, scripted([0.5, 0.7]), settings)
    assert trip().shipped_step == 4
    plain = weights_after_each_step(4)
    assert alike(weights(trip.learner), mean([plain[1], plain[3]]))


def test_no_more_weights_are_kept_than_are_averaged(tmp_path: Path) -> None:
    trip = Trip(tmp_path, 40, settings={**LAST_THREE, "steps": 40})
    trip()
    newest = trip.store.newest()
    assert newest is not None
    assert {name.partition("/")[0] for name in newest.tensors("average")} == {"36", "38", "40"}


def asked_at(step: int, stop: StopRequests) -> Callable[[int], Batch]:
    """The batches, with a Ctrl-C while that of ``step`` is made."""

    def asked(number: int) -> Batch:
        if number == step:
            stop.request("interrupt")
        return batch_of(number)

    return asked


def test_early_stopping_counts_evaluations_and_ships_the_best_weights(tmp_path: Path) -> None:
    losses = [0.9, 0.5, 0.7, 0.6, 0.4]
    trip = Trip(tmp_path, 12, scripted(losses), {"early_stopping": 2, "evaluation_steps": 2})
    journey = trip()
    assert (journey.step, journey.shipped_step, journey.best) == (8, 4, 0.5)
    assert equal(weights(trip.learner), weights_after_each_step(4)[3])
    assert journey.shipped_evaluation == {"step": 4, "loss": 0.5}


def test_a_run_that_stopped_early_stays_stopped_when_it_is_resumed(tmp_path: Path) -> None:
    settings = {"early_stopping": 1, "evaluation_steps": 2}
    first = Trip(tmp_path, 12, scripted([0.5, 0.7]), settings)
    first()
    again = Trip(tmp_path, 12, scripted([]), settings)
    assert again().step == 4
    assert equal(weights(again.learner), weights(first.learner))


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    trip = Trip(
        tmp_path, 6, scripted([math.nan, 0.8, math.nan]), {"early_stopping": 3, "evaluation_steps": 2}
    )
    journey = trip()
    assert (journey.best, journey.best_step, journey.shipped_step) == (0.8, 4, 4)


@pytest.mark.parametrize(("falls", "last"), [(0.0, 8), (0.3, 20)])
def test_a_flat_curve_ends_a_run_that_may_stop_when_flat(tmp_path: Path, falls: float, last: int) -> None:
    losses = [3.0 - falls * math.log2(2 * number) for number in range(1, 11)]
    trip = Trip(tmp_path, 20, scripted(losses), {"stop_when_flat": True, "evaluation_steps": 2})
    assert trip().step == last


@pytest.mark.parametrize("setting", [{"early_stopping": 2}, {"stop_when_flat": True}])
def test_a_run_does_not_promise_to_stop_by_what_it_cannot_see(
    tmp_path: Path, setting: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match=r"nothing to go by.*--validation"):
        Trip(tmp_path, settings=setting)()


def test_a_checkpoint_is_called_best_only_where_an_evaluation_found_it_so(tmp_path: Path) -> None:
    settings = {"checkpoint_steps": 1, "evaluation_steps": 4}
    trip = Trip(tmp_path, 7, scripted([0.5, 0.9]), settings)
    trip()
    newest, best = trip.store.newest(), trip.store.best()
    assert newest is not None
    assert best is not None
    assert (newest.step, newest.best, best.step) == (7, False, 4)


@pytest.mark.parametrize("reason", ["interrupt", "preempt"])
def test_a_stop_while_evaluating_is_heard_at_once_and_the_evaluation_made_up_for(
    tmp_path: Path, reason: Any
) -> None:
    def evaluate() -> dict[str, float]:
        trip.stop.request(reason)
        trip.stop.check()
        raise AssertionError("an evaluation goes on after a stop")

    settings = {"evaluation_steps": 4, "checkpoint_steps": 4}
    trip = Trip(tmp_path, 8, evaluate, settings)
    with pytest.raises(
        (InterruptedRunError, PreemptedError), match=r"saved at step 4 of 8.*headwater resume"
    ):
        trip()
    again = Trip(tmp_path, 8, scripted([0.6, 0.5]), settings)
    assert [found["step"] for found in again().evaluations] == [4, 8]
    assert [event["loss"] for event in read_events(tmp_path, "evaluation")] == [0.6, 0.5]


def test_a_stop_in_the_last_evaluation_leaves_a_run_that_is_finished_by_resuming(tmp_path: Path) -> None:
    def evaluate() -> dict[str, float]:
        trip.stop.request("preempt")
        trip.stop.check()
        return {"loss": 0.0}

    trip = Trip(tmp_path, 3, evaluate, {"evaluation_steps": 3})
    with pytest.raises(PreemptedError, match="step 3 of 3"):
        trip()
    journey = Trip(tmp_path, 3, scripted([0.6]), {"evaluation_steps": 3})()
    assert journey.shipped_evaluation == {"step": 3, "loss": 0.6}


def test_a_stop_while_saving_costs_no_further_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trip = Trip(tmp_path, 6, settings={"checkpoint_steps": 2})
    save = CheckpointFolder.save

    def asked(*arguments: Any, **named: Any) -> Path:
        trip.stop.request("preempt")
        return save(*arguments, **named)

    monkeypatch.setattr(CheckpointFolder, "save", asked)
    with pytest.raises(PreemptedError, match="saved at step 2 of 6"):
        trip()


def test_a_checkpoint_that_was_passed_over_is_said_and_logged(tmp_path: Path) -> None:
    settings = {"checkpoint_steps": 2}
    first = Trip(tmp_path, 8, settings=settings)
    first.batch_of = asked_at(5, first.stop)
    with pytest.raises(InterruptedRunError):
        first()
    damaged = tmp_path / "checkpoints" / "step-00000006" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = Trip(tmp_path, 8, settings=settings)
    again()
    assert "step-00000006 was passed over" in again.said.getvalue()
    (event,) = read_events(tmp_path, "note")
    assert "step-00000006" in event["notes"][0]
    assert [event["step"] for event in read_events(tmp_path, "train")] == list(range(1, 9))


def test_activation_checkpointing_computes_blocks_twice_and_changes_no_result() -> None:
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    found: list[Weights] = []
    for wanted in (False, True):
        learner = new_learner()
        set_activation_checkpointing(learner.model, TrainingSettings(activation_checkpointing=wanted))
        for module in learner.model.backbone.modules():
            if type(module).__name__ == "Block":
                module.register_forward_pre_hook(count)
        passes = 0
        list(train(learner, batch_of, plan(2)))
        found.append(weights(learner))
        assert passes == 2 * 2 * (1 + wanted)  # steps, blocks, times
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-5, atol=1e-7)
