"""Reordering: the parts of a picture or clip were mixed up; where, or when, was each?

Shape letters: B pictures, N patches, P numbers of a patch, M parts.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.models.model import Model
from headwater.objectives.objective import Guess, LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective, PictureTask
from headwater.randomness import Draws
from headwater.sequence import Batch


@dataclass(frozen=True, slots=True)
class ReorderedTask(PictureTask):
    """``origins`` (B, M): where the part came from which is now at each place."""

    origins: Tensor


class Reordering(PictureObjective):
    """Σ over parts of -log p(its place | the mixed whole); guessing costs ln M and is right once in M times."""

    parts: int
    drawn_for: ClassVar[str]

    @abstractmethod
    def arranged(self, patches: Tensor, origins: Tensor) -> Tensor:
        """At each place the part of ``origins`` (B, M) of the whole (B, N, P)."""

    @abstractmethod
    def logits(self, model: Model, task: Task) -> Tensor:
        """The score of every place for the part at each place: (B, M, M)."""

    def prepare(self, batch: Batch, draws: Draws) -> ReorderedTask:
        """Mix the parts of each."""
        origins = torch.from_numpy(np.argsort(draws.uniform(self.drawn_for, self.parts), axis=1))
        mixed = torch.cat((batch.inputs[:, :1], self.arranged(batch.inputs[:, 1:], origins)), dim=1)
        return ReorderedTask(replace(batch, inputs=mixed), {self.name: origins.numel()}, origins)

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """Any place."""
        del task
        return {self.name: Guess(math.log(self.parts), 1 / self.parts)}

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Cross-entropy over the places."""
        assert isinstance(task, ReorderedTask)
        logits = self.logits(model, task).flatten(0, 1)
        origins = task.origins.flatten()
        right = (logits.argmax(dim=-1) == origins).sum()
        return (
            LossTerm(self.name, F.cross_entropy(logits, origins, reduction="sum"), len(origins), right=right),
        )
