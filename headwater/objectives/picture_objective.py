"""What pretext tasks of pictures have in common: whole pictures in a batch, and something to look at.

Shape letters: B pictures, N patches, P numbers of a patch, C width.
"""

from abc import abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.models.model import Model
from headwater.objectives.objective import Objective, Task
from headwater.sequence import SequenceLayout


@dataclass(frozen=True, slots=True)
class PictureTask(Task):
    """A task whose tensors hold a row for each picture."""

    def first(self, count: int) -> Self:
        """The first pictures alone."""
        batch = self.batch
        inputs = batch.inputs[:count]
        some = replace(
            batch,
            inputs=inputs,
            layout=SequenceLayout.dense(*inputs.shape[:2], device=inputs.device),
            items=batch.items[:count],
            labels=None if batch.labels is None else batch.labels[:count],
        )
        rows = {
            field.name: value[:count]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, batch=some, **rows)


class PictureObjective(Objective):
    """A pretext task of pictures. ``lines`` says what the lines are that there are to look at."""

    needs = "both"
    lines: ClassVar[tuple[str, ...]]

    @abstractmethod
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """What there is to look at of the first ``count`` pictures of a task: lines of patches, (count, N, P) each."""


NEAREST_LINES = ("asked", "nearest", "second", "third")


def nearest(vectors: Tensor, pictures: Tensor, count: int, lines: int = 3) -> tuple[Tensor, ...]:
    """The first ``count`` pictures (B, N, P), and below each its nearest others by the cosine of ``vectors`` (B, C)."""
    count = min(count, len(pictures))
    unit = F.normalize(vectors.float(), dim=-1)
    cosines = unit[:count] @ unit.T
    cosines[torch.arange(count), torch.arange(count)] = -torch.inf
    found = cosines.topk(min(lines, len(pictures) - 1), dim=1).indices
    return (pictures[:count], *(pictures[places] for places in found.T))
