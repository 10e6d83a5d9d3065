"""Restoring: something was taken from a picture, and the whole is to be made again.

What colorization and super-resolution have in common. Shape letters: B pictures, N patches, P numbers of a patch.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from headwater.data.sequencers.patches import Patches
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective, PictureTask
from headwater.randomness import Draws
from headwater.sequence import Batch


@dataclass(frozen=True, slots=True)
class RestoringTask(PictureTask):
    """``batch`` holds what is left of the pictures, ``whole`` (B, 1 + N, P) what they were."""

    whole: Tensor


class Restoring(PictureObjective):
    """Σ over patches of the mean squared error of what is added to what was left, in deviations of the channels.

    ``NAME_`` and the word in ``left`` is the error of adding nothing; it weighs nothing.
    """

    left: ClassVar[str]
    lines = ("what was left", "made of it", "as it was")

    def __init__(self, patches: Patches, width: int, *, seed: int = 0) -> None:
        super().__init__()
        self.patches = patches
        self.exit = nn.Linear(width, patches.side**2 * patches.channels)
        initialize(self.exit, seed=seed, name=f"objective.{self.name}")

    @abstractmethod
    def spoiled(self, patches: Tensor) -> Tensor:
        """What is left of patches (B, N, P), in the same shape."""

    def prepare(self, batch: Batch, draws: Draws) -> RestoringTask:
        """Take it away."""
        spoiled = torch.cat((batch.inputs[:, :1], self.spoiled(batch.inputs[:, 1:])), dim=1)
        count = spoiled.shape[0] * (spoiled.shape[1] - 1)
        counts = {self.name: count, f"{self.name}_{self.left}": count}
        return RestoringTask(replace(batch, inputs=spoiled), counts, batch.inputs)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The error of what is added, and that of adding nothing."""
        assert isinstance(task, RestoringTask)
        missing = (task.whole - task.batch.inputs)[:, 1:]
        errors = (self._added(model, task).float() - missing).square().mean(dim=-1)
        nothing = missing.square().mean(dim=-1)
        return (
            LossTerm(self.name, errors.sum(), errors.numel()),
            LossTerm(f"{self.name}_{self.left}", nothing.sum(), nothing.numel(), weight=0.0),
        )

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """What was left, what was made of it, and what it was."""
        assert isinstance(task, RestoringTask)
        some = task.first(count)
        left = some.batch.inputs[:, 1:]
        return left, left + self._added(model, some).float(), some.whole[:, 1:]

    def _added(self, model: Model, task: RestoringTask) -> Tensor:
        return self.exit(model.encode(task.batch)[:, 1:])
