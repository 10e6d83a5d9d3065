"""Pair contrast: the two sides of a pair are nearer to each other than either is to the other side of another pair.

Radford et al. 2021 (CLIP), figure 3, arXiv:2103.00020. Shape letters: B pairs, J joint width.
"""

import torch
from torch import Tensor

from headwater.models.model import Model
from headwater.objectives.contrast import cross_contrast
from headwater.objectives.coupled import CoupledObjective, sharing
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.pair_objective import PairObjective, towers_of
from headwater.randomness import Draws
from headwater.sequence import Batch


class PairContrast(CoupledObjective, PairObjective):
    """½ · (-log softmax over second sides - log softmax over first sides) of s · cos(first, second), s learnt.

    Two pairs that have a side in common (a caption, a recording) are no negatives of each other. Guessing costs ln B.
    """

    name = "pair_contrast"

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: every other pair is a negative."""
        del draws
        return Task(batch, {self.name: len(batch.items)})

    def vectors(self, model: Model, task: Task) -> Tensor:
        """Both sides of every pair."""
        return torch.stack(towers_of(model).both(task.batch), dim=1)

    def compare(self, model: Model, vectors: Tensor, marks: Tensor) -> LossTerm:
        """The mean over both directions of every pair."""
        first, second = vectors.unbind(dim=1)
        return cross_contrast(self.name, towers_of(model).scale() * (first @ second.T), sharing(marks))

    def marks(self, batch: Batch) -> Tensor:
        """The numbers of both things."""
        assert batch.labels is not None
        return batch.labels
