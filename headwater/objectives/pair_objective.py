"""What pretext tasks of pairs have in common. Shape letters: B pairs."""

from typing import ClassVar

import torch
from torch import Tensor

from headwater.models import Model, TwoTowers
from headwater.objectives.objective import Objective, Reads
from headwater.sequence import Batch


class PairObjective(Objective):
    """A pretext task whose examples have two sides: ``inputs`` and ``targets`` of a batch."""

    needs: ClassVar[Reads] = "sides"


def towers_of(model: Model) -> TwoTowers:
    """The two towers of a model that reads pairs."""
    assert isinstance(model.backbone, TwoTowers), "pairs are read by two towers"
    return model.backbone


def sharing(batch: Batch) -> Tensor:
    """True where two different pairs have a side in common: (B, B)."""
    assert batch.labels is not None
    first, second = batch.labels.T
    same = (first[:, None] == first[None]) | (second[:, None] == second[None])
    return same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
