"""A loss of all vectors of a step, made in parts: the gradient is that of the batch in one piece."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from headwater.models import Model, build_model, encoder_settings
from headwater.objectives import CoupledObjective, LossTerm, Objective, Retrieval, Task
from headwater.objectives.contrast import contrast, cross_contrast
from headwater.objectives.coupled import sharing
from headwater.randomness import Draws, key
from headwater.sequence import Batch, SequenceLayout
from headwater.training.gradients import gradients
from headwater.training.optimizers import build_optimizer
from headwater.training.plan import Learner, Plan
from headwater.training.schedules import build_schedule

QUERIES = [[1, 10, 11, 2], [1, 12, 2], [1, 13, 14, 15, 2], [1, 12, 2], [1, 16, 17, 2]]
FOUND = [[1, 20, 21, 22, 2], [1, 23, 24, 2], [1, 25, 2], [1, 26, 2], [1, 20, 21, 22, 2]]
NUMBERS = [0, 1, 2, 3, 0]  # rows 1 and 3 share a query, rows 0 and 4 a passage
CUTS = {1: [slice(0, 5)], 2: [slice(0, 3), slice(3, 5)], 3: [slice(0, 2), slice(2, 4), slice(4, 5)]}


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, SequenceLayout]:
    width = max(map(len, rows))
    inputs = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    return inputs, SequenceLayout.padded(torch.tensor([len(row) for row in rows]), width)


def batch(part: slice) -> Batch:
    targets, layout = padded(FOUND[part])
    items = torch.arange(len(QUERIES))[part]
    labels = torch.tensor(NUMBERS[part])
    return Batch(*padded(QUERIES[part]), items, targets=targets, target_layout=layout, labels=labels)


class Scaled(Retrieval):
    """Retrieval with a factor that is learnt, as two towers have one."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(3.0))

    def compare(self, model: Model, vectors: Tensor, marks: Tensor) -> LossTerm:
        first, second = vectors.unbind(dim=1)
        return cross_contrast(self.name, self.factor * (first @ second.T), sharing(marks))


def learner(objective: CoupledObjective, dropout: float = 0.0) -> Learner:
    settings = replace(encoder_settings("nano", 100), residual_dropout=dropout)
    model = build_model(settings, seed=0)
    named = [*model.named_parameters(), *objective.named_parameters()]
    return Learner(model, objective, build_optimizer("adamw", named, learning_rate=1e-3, weight_decay=0.0))


def plan(parts: int) -> Plan:
    schedule = build_schedule("constant", steps=10, warmup_steps=1)
    return Plan(steps=10, seed=3, schedule=schedule, micro_batches=parts)


def tasks(objective: Objective, parts: int) -> list[Task]:
    cut = [batch(part) for part in CUTS[parts]]
    return [objective.prepare(one, Draws(0, 0, one.items.numpy())) for one in cut]


def gradient(learnt: Learner) -> Tensor:
    return torch.cat([p.grad.flatten() for p in learnt.parameters if p.grad is not None])


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("kind", [Retrieval, Scaled])
def test_vectors_made_in_parts_ask_for_the_gradient_of_the_batch(
    kind: type[CoupledObjective], parts: int
) -> None:
    whole, cut = learner(kind()), learner(kind())
    means = gradients(whole, tasks(whole.objective, 1), plan(1), 0)
    same = gradients(cut, tasks(cut.objective, parts), plan(parts), 0)
    assert same == pytest.approx(means, rel=1e-5)
    torch.testing.assert_close(gradient(cut), gradient(whole), rtol=1e-4, atol=1e-7)


def test_both_readings_of_a_part_drop_the_same_out() -> None:
    chosen, written_out = learner(Scaled(), 0.3), learner(Scaled(), 0.3)
    chosen.model.train()
    written_out.model.train()
    gradients(chosen, tasks(chosen.objective, 2), plan(2), 7)

    objective = written_out.objective
    assert isinstance(objective, CoupledObjective)
    vectors: list[Tensor] = []
    for number, task in enumerate(tasks(objective, 2)):
        torch.manual_seed(key(3, "dropout", 7, number))
        vectors.append(objective.vectors(written_out.model, task))
    marks = torch.cat([objective.marks(task.batch) for task in tasks(objective, 2)])
    term = objective.compare(written_out.model, torch.cat(vectors), marks)
    (term.total / term.count).backward()
    torch.testing.assert_close(gradient(chosen), gradient(written_out), rtol=1e-4, atol=1e-7)


def test_a_text_that_comes_twice_in_a_step_is_no_negative_of_itself() -> None:
    rng = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(4, 2, 8, generator=rng), dim=-1)
    vectors[:, 1] = vectors[:, 0]
    once = contrast("c", vectors, 0.1, sharing(torch.arange(4)[:, None]))
    twice = contrast("c", vectors.repeat(2, 1, 1), 0.1, sharing(torch.arange(4).repeat(2)[:, None]))
    pushed = contrast("c", vectors.repeat(2, 1, 1), 0.1, torch.zeros(8, 8, dtype=torch.bool))
    assert twice.total / twice.count < 2.1 * once.total / once.count < pushed.total / pushed.count


def test_an_equal_query_is_told_in_any_part() -> None:
    objective = Retrieval()
    marks = torch.cat([objective.marks(batch(part)) for part in CUTS[3]])
    torch.testing.assert_close(marks, objective.marks(batch(slice(0, 5))))
    assert sharing(marks).nonzero().tolist() == [[0, 4], [1, 3], [3, 1], [4, 0]]
