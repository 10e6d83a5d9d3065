"""Pretext tasks of pairs against the written-out equation."""

import math
from typing import Any

import numpy as np
import torch

from headwater.models import Model, PatchSettings, TwoTowers, build_model
from headwater.models.tower_sizes import two_tower_settings
from headwater.objectives import PairContrast, PairMatch
from headwater.objectives.pair_match import MatchTask
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

PAIRS = torch.tensor([[0, 0], [0, 1], [1, 2], [2, 3], [3, 3], [4, 4]])


def model() -> Model:
    shape = PatchSettings(rows=2, columns=2, side=4, channels=3)
    return build_model(two_tower_settings("nano", shape, 40, text_length=8), seed=0)


def batch() -> Batch:
    torch.manual_seed(0)
    pictures, texts = torch.randn(5, 5, 48), torch.randint(4, 40, (5, 6))
    return Batch(
        pictures[PAIRS[:, 0]],
        SequenceLayout.dense(6, 5),
        torch.arange(6),
        targets=texts[PAIRS[:, 1]],
        target_layout=SequenceLayout.padded(torch.tensor([6, 5, 6, 3, 3, 4]), 6),
        labels=PAIRS,
    )


def draws() -> Draws:
    return Draws(1, 0, np.arange(6))


def towers(of: Model) -> TwoTowers:
    assert isinstance(of.backbone, TwoTowers)
    return of.backbone


@torch.no_grad()
def test_contrast_is_the_equation_without_pairs_that_share_a_side() -> None:
    ours, rows = model(), batch()
    objective = PairContrast()
    (term,) = objective.loss(ours, objective.prepare(rows, draws()))
    first, second = towers(ours).both(rows)
    scale = 1 / 0.07
    expected = 0.0
    shares = lambda i, j: i != j and (PAIRS[i] == PAIRS[j]).any()  # noqa: E731
    for i in range(6):
        there = [math.exp(scale * float(first[i] @ second[j])) for j in range(6) if not shares(i, j)]
        back = [math.exp(scale * float(second[i] @ first[j])) for j in range(6) if not shares(i, j)]
        own = math.exp(scale * float(first[i] @ second[i]))
        expected -= 0.5 * (math.log(own / sum(there)) + math.log(own / sum(back)))
    assert term.count == 6
    assert float(term.total) == torch.tensor(expected).item() or abs(float(term.total) - expected) < 1e-3


@torch.no_grad()
def test_vectors_have_length_one_and_the_scale_stays_below_a_hundred() -> None:
    ours = model()
    for side in towers(ours).both(batch()):
        torch.testing.assert_close(side.norm(dim=-1), torch.ones(6))
    towers(ours).scale.logarithm.fill_(50.0)
    assert float(towers(ours).scale()) == 100.0


def test_half_of_the_pairs_trade_and_those_that_share_a_side_stay_together() -> None:
    objective, rows = PairMatch(128), batch()
    assert rows.targets is not None
    apart = 0
    for seed in range(20):
        task: Any = objective.prepare(rows, Draws(seed, 0, np.arange(6)))
        assert isinstance(task, MatchTask)
        assert task.batch.targets is not None
        changed = (task.batch.targets != rows.targets).any(dim=1)
        assert int(changed.sum()) <= 3
        assert not (changed & task.together & ~_same_text(task, rows)).any()
        assert (~task.together <= changed).all()
        apart += int((~task.together).sum())
    assert 20 < apart <= 60
    one, two = (objective.prepare(rows, Draws(19, 0, np.arange(6))) for _ in range(2))
    assert torch.equal(one.together, two.together)


def _same_text(task: MatchTask, rows: Batch) -> torch.Tensor:
    """Pairs that share a side with the one whose text they were given."""
    given, own = task.batch.targets, rows.targets
    assert given is not None
    assert own is not None
    source = [[other for other in range(6) if torch.equal(text, own[other])] for text in given]
    shared = [
        any(bool((PAIRS[number] == PAIRS[other]).any()) for other in others)
        for number, others in enumerate(source)
    ]
    return torch.tensor(shared)


def test_both_tasks_reach_every_weight_of_both_towers() -> None:
    for objective in (PairContrast(), PairMatch(128)):
        ours = model()
        (term,) = objective.loss(ours, objective.prepare(batch(), draws()))
        (term.total / term.count).backward()
        still = [
            name for name, weight in ours.named_parameters() if weight.grad is None or not weight.grad.any()
        ]
        allowed = (
            ("scale", "tokens.weight", "positions") if isinstance(objective, PairMatch) else ("positions",)
        )
        assert not [name for name in still if not any(part in name for part in allowed)], still
