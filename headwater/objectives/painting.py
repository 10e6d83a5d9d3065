"""Painting: some patches of a picture are hidden, and what stood there is to be painted.

What the painters have in common: which patches are asked for, the error, and pictures to look at. Shape letters: B
pictures, N patches, S patches in sight, P numbers of a patch.
"""

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.models.settings import PatchSettings, TransformerSettings
from headwater.objectives.hiding_patches import Hides, Hiding, HidingTask, taken
from headwater.objectives.objective import Guess, LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective
from headwater.randomness import Draws
from headwater.sequence import Batch

_EPSILON = 1e-6


class Painting(PictureObjective):
    """Σ over hidden patches of the mean squared error to the patch, its numbers at mean 0 and deviation 1.

    Painting every hidden patch in its own mean colour has an error of 1. Source of the even patches: He et al. 2022,
    section 4.1, arXiv:2111.06377.
    """

    lines = ("in sight", "painted", "as it was")

    def __init__(self, settings: TransformerSettings, share: float) -> None:
        super().__init__()
        self.count = patches_of(settings, self.name).count
        self.hiding = self.hidden_in(patches_of(settings, self.name), share)

    def hidden_in(self, patches: PatchSettings, share: float) -> Hides:
        """How patches are hidden: here and there, unless a painter says otherwise."""
        return Hiding(patches.count, share, slices=patches.slices)

    @abstractmethod
    def painted(self, model: Model, task: HidingTask) -> Tensor:
        """The hidden patches as the model paints them, each at mean 0 and deviation 1: (B, N − S, P)."""

    def prepare(self, batch: Batch, draws: Draws) -> HidingTask:
        """Choose the patches in sight, as many of every picture."""
        return self.hiding.of(batch, draws, self.name)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The error of the hidden patches alone."""
        assert isinstance(task, HidingTask)
        errors = (self.painted(model, task).float() - even(taken(task.batch.inputs, task.hidden))).square()
        errors = errors.mean(dim=-1)
        return (LossTerm(self.name, errors.sum(), errors.numel()),)

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """The mean colour of every patch."""
        del task
        return {self.name: Guess(1.0)}

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """What was shown (what was hidden as zeros), what was painted and what it was.

        A painted patch gets the mean and the deviation of the true one, which the task does not ask for.
        """
        assert isinstance(task, HidingTask)
        some = task.first(count)
        true = some.batch.inputs[:, 1:]
        mean, deviation = _mean_and_deviation(taken(some.batch.inputs, some.hidden))
        found = self.painted(model, some).float() * deviation + mean
        places = (some.hidden - 1)[..., None].expand_as(found)
        return true.scatter(1, places, 0.0), true.scatter(1, places, found), true


def patches_of(settings: TransformerSettings, name: str) -> PatchSettings:
    """How the model cuts pictures; SettingsError where it reads none."""
    if settings.patches is None:
        raise SettingsError(f"{name} paints patches, and this model reads none; give pictures")
    return settings.patches


def even(patches: Tensor) -> Tensor:
    """Patches (B, N, P) whose numbers have mean 0 and deviation 1 in each."""
    mean, deviation = _mean_and_deviation(patches)
    return (patches - mean) / deviation


def _mean_and_deviation(patches: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return mean, (variance + _EPSILON).sqrt()
