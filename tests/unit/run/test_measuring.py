"""Measuring the speed leaves no trace."""

import torch

from headwater.models import build_model, encoder_settings
from headwater.objectives import Classification
from headwater.run.measuring import seconds_a_step, steps_in, undone
from headwater.sequence import Batch, SequenceLayout
from headwater.training.checkpoint import module_tensors
from headwater.training.loop import train
from headwater.training.optimizers import build_optimizer
from headwater.training.plan import Learner, Plan
from headwater.training.schedules import build_schedule


def learner() -> Learner:
    model = build_model(encoder_settings("nano", 60), head="classification", seed=0, classes=2)
    return Learner(
        model,
        Classification(["a", "b"]),
        build_optimizer("adamw", model.named_parameters(), learning_rate=1e-2),
    )


def batch_of(number: int) -> Batch:
    inputs = torch.arange(4 * 6).view(4, 6) % 50 + 4 + number % 3
    return Batch(inputs, SequenceLayout.dense(4, 6), torch.arange(4), labels=torch.tensor([0, 1, 0, 1]))


def plan(steps: int) -> Plan:
    return Plan(steps=steps, seed=0, schedule=build_schedule("constant", steps=20))


def test_what_was_trained_inside_is_undone_to_the_bit() -> None:
    measured, fresh = learner(), learner()
    with undone(measured):
        list(train(measured, batch_of, plan(3)))
    assert not measured.optimizer.state
    for chosen in (measured, fresh):
        list(train(chosen, batch_of, plan(2)))
    one, other = (module_tensors(chosen.model) for chosen in (measured, fresh))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_measurement_is_a_time_and_changes_nothing() -> None:
    measured = learner()
    before = {name: tensor.clone() for name, tensor in module_tensors(measured.model).items()}
    assert seconds_a_step(measured, batch_of, plan(100), steps=2) > 0.0
    after = module_tensors(measured.model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_evaluations_take_their_share_of_the_minutes() -> None:
    assert steps_in(1.0, 0.5) == 120
    assert steps_in(1.0, 0.5, evaluation_share=0.2) == 100
    assert steps_in(0.001, 10.0) == 1
