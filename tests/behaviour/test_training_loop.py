"""The loop: accumulation equals the big batch, resuming equals never stopping, non-finite steps are seen."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from headwater.errors import TrainingStoppedError
from headwater.models import Model, build_model, encoder_settings
from headwater.objectives import Classification
from headwater.sequence import Batch, SequenceLayout
from headwater.training.checkpoint import module_tensors, restore_module
from headwater.training.loop import StepRecord, train
from headwater.training.optimizers import build_optimizer, optimizer_tensors, restore_optimizer
from headwater.training.plan import Learner, Plan
from headwater.training.schedules import build_schedule

ROWS, LENGTH, CLASSES = 8, 10, 3


def batch_of(number: int, rows: int = ROWS) -> Batch:
    generator = torch.Generator().manual_seed(number)
    lengths = torch.randint(3, LENGTH + 1, (rows,), generator=generator)
    inputs = torch.randint(4, 60, (rows, LENGTH), generator=generator)
    labels = torch.randint(0, CLASSES, (rows,), generator=generator)
    return Batch(inputs, SequenceLayout.padded(lengths, LENGTH), torch.arange(rows), labels=labels)


def halves(number: int) -> Batch:
    """The same rows as ``batch_of``, in two uneven micro-batches."""
    whole = batch_of(number // 2)
    part = slice(0, 3) if number % 2 == 0 else slice(3, ROWS)
    assert whole.labels is not None
    layout = SequenceLayout(whole.layout.documents[part], whole.layout.positions[part], contiguous=True)
    return Batch(whole.inputs[part], layout, whole.items[part], labels=whole.labels[part])


def learner(dropout: float = 0.0) -> Learner:
    settings = replace(encoder_settings("nano", 60), residual_dropout=dropout)
    model = build_model(settings, head="classification", seed=0, classes=CLASSES)
    optimizer = build_optimizer("adamw", model.named_parameters(), learning_rate=1e-3, weight_decay=0.01)
    return Learner(model, Classification([str(label) for label in range(CLASSES)]), optimizer)


def plan(steps: int, **changes: object) -> Plan:
    schedule = build_schedule("linear", steps=20, warmup_steps=2)
    return replace(Plan(steps=steps, seed=5, schedule=schedule), **changes)


def weights(model: Model) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def run(chosen: Learner, steps: int, **changes: object) -> list[StepRecord]:
    return list(train(chosen, batch_of, plan(steps, **changes)))


def test_accumulated_micro_batches_equal_the_big_batch() -> None:
    whole, parts = learner(), learner()
    first = next(train(whole, batch_of, plan(1)))
    second = next(train(parts, halves, plan(1, micro_batches=2)))
    assert second.loss == pytest.approx(first.loss, rel=1e-6)
    assert second.gradient_norm == pytest.approx(first.gradient_norm, rel=1e-5)
    assert second.tokens == first.tokens


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_resumed_run_has_the_bits_of_one_that_never_stopped(dropout: float, prefetch: int) -> None:
    straight = learner(dropout)
    run(straight, 6, prefetch=prefetch)

    first = learner(dropout)
    stopped = train(first, batch_of, plan(6, prefetch=prefetch))
    for record in stopped:
        if record.step == 3:
            break
    saved = {name: tensor.clone() for name, tensor in module_tensors(first.model).items()}
    state = {
        name: tensor.clone()
        for name, tensor in optimizer_tensors(first.optimizer, first.model.named_parameters()).items()
    }

    second = learner(dropout)
    restore_module(second.model, saved)
    restore_optimizer(second.optimizer, second.model.named_parameters(), state)
    list(train(second, batch_of, plan(6, prefetch=prefetch), start=3))
    assert torch.equal(weights(second.model), weights(straight.model))


def test_prefetching_changes_no_bit() -> None:
    with_thread, without = learner(), learner()
    run(with_thread, 4, prefetch=2)
    run(without, 4, prefetch=0)
    assert torch.equal(weights(with_thread.model), weights(without.model))


def test_eight_examples_are_learnt_by_heart() -> None:
    chosen = learner()
    schedule = build_schedule("constant", steps=60, warmup_steps=0)
    always = batch_of(0)
    records = list(train(chosen, lambda _: always, replace(plan(60), schedule=schedule)))
    assert records[0].loss == pytest.approx(math.log(CLASSES), rel=0.2)
    assert records[-1].loss < 0.02


def test_a_step_that_is_not_finite_changes_no_weight_and_is_seen() -> None:
    chosen = learner()
    with torch.no_grad():
        chosen.model.backbone.token_embedding.weight[7, 0] = math.nan
    poisoned = replace(batch_of(0), inputs=torch.full((ROWS, LENGTH), 7))
    before = copy.deepcopy(weights(chosen.model))
    records = list(train(chosen, lambda step: poisoned if step == 0 else batch_of(1), plan(1)))
    assert not records[0].finite
    assert torch.equal(weights(chosen.model).nan_to_num(), before.nan_to_num())


def test_three_steps_in_a_row_that_are_not_finite_stop_the_run_and_name_its_examples() -> None:
    chosen = learner()
    with torch.no_grad():
        chosen.model.backbone.token_embedding.weight.fill_(math.nan)
    with pytest.raises(TrainingStoppedError, match=r"3 steps in a row .*step 3, on example 0, example 1"):
        run(chosen, 9)


def test_a_stopped_run_names_the_rows_of_its_examples_each_once_and_counts_the_many() -> None:
    chosen = learner()
    with torch.no_grad():
        chosen.model.backbone.token_embedding.weight.fill_(math.nan)
    many = replace(batch_of(0), items=torch.arange(24).repeat_interleave(2))
    named = ", ".join(f"notes.csv row {row}" for row in range(1, 9))
    with pytest.raises(TrainingStoppedError, match=rf"on {named} and 16 more\)"):
        list(train(chosen, lambda _: many, plan(9), place_of=lambda item: f"notes.csv row {item + 1}"))


def test_gradients_are_clipped_to_their_common_norm() -> None:
    chosen = learner()
    records = run(chosen, 1, clip=1e-3)
    assert records[0].gradient_norm > 1e-3  # what is reported is the norm before
