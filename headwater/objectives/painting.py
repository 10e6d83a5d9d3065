"""Painting: some patches of a picture are hidden, and what stood there is to be painted.

What the painters have in common: which patches are asked for, the error, and pictures to look at. Shape letters: B
pictures, N patches, S patches in sight, P numbers of a patch.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.models.settings import PatchSettings, TransformerSettings
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class PaintingTask(Task):
    """``seen`` (B, 1 + S) are the positions in sight, [CLS] first; ``hidden`` (B, N − S) those to be painted."""

    seen: Tensor
    hidden: Tensor

    def first(self, count: int) -> Self:
        """The first pictures alone."""
        inputs = self.batch.inputs[:count]
        layout = SequenceLayout.dense(*inputs.shape[:2], device=inputs.device)
        batch = Batch(inputs, layout, self.batch.items[:count])
        return replace(self, batch=batch, seen=self.seen[:count], hidden=self.hidden[:count])


class Painting(Objective):
    """Σ over hidden patches of the mean squared error to the patch, its numbers at mean 0 and deviation 1.

    Painting every hidden patch in its own mean colour has an error of 1. Source of the even patches: He et al. 2022,
    section 4.1, arXiv:2111.06377.
    """

    needs = "both"
    modality = "image"

    def __init__(self, settings: TransformerSettings, share: float) -> None:
        super().__init__()
        patches = patches_of(settings, self.name)
        kept = round(patches.count * (1.0 - share))
        if not 0.0 < share < 1.0 or not 0 < kept < patches.count:
            raise SettingsError(
                f"objective.share = {share} of {patches.count} patches leaves {kept} in sight; expected a share "
                "between 0 and 1 that leaves some of both"
            )
        self.share, self.count, self.kept = share, patches.count, kept

    @abstractmethod
    def painted(self, model: Model, task: PaintingTask) -> Tensor:
        """The hidden patches as the model paints them, each at mean 0 and deviation 1: (B, N − S, P)."""

    def prepare(self, batch: Batch, draws: Draws) -> PaintingTask:
        """Choose the patches in sight, as many of every picture."""
        order = np.argsort(draws.uniform("patches in sight", self.count), axis=1) + 1
        seen = torch.from_numpy(np.sort(order[:, : self.kept], axis=1))
        hidden = torch.from_numpy(np.sort(order[:, self.kept :], axis=1))
        seen = torch.cat((seen.new_zeros(len(seen), 1), seen), dim=1)
        return PaintingTask(batch, {self.name: hidden.numel()}, seen, hidden)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The error of the hidden patches alone."""
        assert isinstance(task, PaintingTask)
        errors = (self.painted(model, task).float() - _even(taken(task.batch.inputs, task.hidden))).square()
        errors = errors.mean(dim=-1)
        return (LossTerm(self.name, errors.sum(), errors.numel()),)

    @torch.no_grad()
    def pictures(self, model: Model, task: PaintingTask) -> tuple[Tensor, Tensor, Tensor]:
        """What was shown, what was painted and what it was, patches (B, N, P) each; what was hidden is shown as zeros.

        A painted patch gets the mean and the deviation of the true one, which the task does not ask for.
        """
        true = task.batch.inputs[:, 1:]
        mean, deviation = _mean_and_deviation(taken(task.batch.inputs, task.hidden))
        found = self.painted(model, task).float() * deviation + mean
        places = (task.hidden - 1)[..., None].expand_as(found)
        return true.scatter(1, places, 0.0), true.scatter(1, places, found), true


def patches_of(settings: TransformerSettings, name: str) -> PatchSettings:
    """How the model cuts pictures; SettingsError where it reads none."""
    if settings.patches is None:
        raise SettingsError(f"{name} paints patches, and this model reads none; give pictures")
    return settings.patches


def taken(values: Tensor, places: Tensor) -> Tensor:
    """Some positions of each row: (B, T, C) and (B, S) → (B, S, C)."""
    return values.gather(1, places[..., None].expand(-1, -1, values.shape[-1]))


def _even(patches: Tensor) -> Tensor:
    mean, deviation = _mean_and_deviation(patches)
    return (patches - mean) / deviation


def _mean_and_deviation(patches: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return mean, (variance + _EPSILON).sqrt()
