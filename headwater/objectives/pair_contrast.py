"""Pair contrast: the two sides of a pair are nearer to each other than either is to the other side of another pair.

Radford et al. 2021 (CLIP), figure 3, arXiv:2103.00020. Shape letters: B pairs, J joint width.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.models.model import Model
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.pair_objective import PairObjective, sharing, towers_of
from headwater.randomness import Draws
from headwater.sequence import Batch


class PairContrast(PairObjective):
    """½ · (-log softmax over second sides - log softmax over first sides) of s · cos(first, second), s learnt.

    Two pairs that have a side in common (a caption, a recording) are no negatives of each other. Guessing costs ln B.
    """

    name = "pair_contrast"
    couples_examples: ClassVar[bool] = True

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: every other pair is a negative."""
        del draws
        return Task(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The mean over both directions of every pair."""
        towers = towers_of(model)
        first, second = towers.both(task.batch)
        scores = towers.scale() * (first @ second.T)
        scores = scores.masked_fill(sharing(task.batch), float("-inf"))
        own = torch.arange(len(scores), device=scores.device)
        total = sum(F.cross_entropy(side, own, reduction="sum") for side in (scores, scores.T)) / 2
        assert isinstance(total, Tensor)
        return (LossTerm(self.name, total, len(own), right=(scores.argmax(dim=-1) == own).sum()),)
