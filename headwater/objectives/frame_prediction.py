"""Future and past frames: from one half of a clip, paint the other.

Srivastava et al. 2015, arXiv:1502.04681, with a masked autoencoder. Shape letters: B clips, N patches, S slices of
time, M patches of a slice, P numbers of a patch.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from headwater.models.model import Model
from headwater.models.settings import PatchSettings, TransformerSettings
from headwater.objectives.hiding_patches import Hides, HidingSlices, HidingTask, taken
from headwater.objectives.masked_autoencoding import FewSeen, MaskedAutoencoding
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.painting import even
from headwater.randomness import Draws
from headwater.sequence import Batch


class FramePrediction(MaskedAutoencoding):
    """The encoder reads half of the slices of time, the decoder paints the others; the error is that of every painter.

    ``NAME_copy`` is the error of the slice in sight that is nearest in time, put there again.
    """

    def __init__(self, settings: TransformerSettings, *, seed: int = 0) -> None:
        super().__init__(settings, share=0.5, seed=seed)
        self.slices = settings.patches.slices if settings.patches else 1

    @abstractmethod
    def hidden_slices(self, slices: int) -> tuple[list[int], int]:
        """Which are to be painted, and the nearest one in sight."""

    def hidden_in(self, patches: PatchSettings, share: float) -> Hides:
        """Half of the slices."""
        hidden, _ = self.hidden_slices(patches.slices)
        return HidingSlices(patches.count, slices=patches.slices, hidden=hidden)

    def prepare(self, batch: Batch, draws: Draws) -> FewSeen:
        """Part what is read from what is painted."""
        task = super().prepare(batch, draws)
        return task.counting({f"{self.name}_copy": task.hidden.numel()})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The error of what is painted, and that of standing still."""
        assert isinstance(task, HidingTask)
        true = even(taken(task.batch.inputs, task.hidden))
        errors = (even(self._copied(task.batch.inputs)) - true).square().mean(dim=-1)
        still = LossTerm(f"{self.name}_copy", errors.sum(), errors.numel(), weight=0.0)
        return (*super().loss(model, task), still)

    def _copied(self, inputs: Tensor) -> Tensor:  # (B, 1 + N, P) → (B, N − S, P)
        hidden, nearest = self.hidden_slices(self.slices)
        slices = inputs[:, 1:].unflatten(1, (self.slices, -1))
        return slices[:, torch.full((len(hidden),), nearest)].flatten(1, 2)


class FutureFrames(FramePrediction):
    """From the first half of a clip, paint the second."""

    name = "future_frames"

    def hidden_slices(self, slices: int) -> tuple[list[int], int]:
        """The later half, and the last one before it."""
        seen = (slices + 1) // 2
        return list(range(seen, slices)), seen - 1


class PastFrames(FramePrediction):
    """From the second half of a clip, paint the first."""

    name = "past_frames"

    def hidden_slices(self, slices: int) -> tuple[list[int], int]:
        """The earlier half, and the first one behind it."""
        hidden = slices // 2
        return list(range(hidden)), hidden
