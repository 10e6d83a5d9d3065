"""Colorization: from a picture in grey, say its colours.

Zhang et al. 2016, arXiv:1603.08511; here the colours themselves are painted, not classes of them. Shape letters: B
pictures, N patches, P numbers of a patch.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from headwater.data.sequencers.patches import Patches
from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class ColouringTask(Task):
    """``batch`` holds the pictures in grey, ``colours`` (B, 1 + N, P) what they were."""

    colours: Tensor

    def first(self, count: int) -> Self:
        """The first pictures alone."""
        inputs = self.batch.inputs[:count]
        layout = SequenceLayout.dense(*inputs.shape[:2], device=inputs.device)
        return replace(
            self, batch=Batch(inputs, layout, self.batch.items[:count]), colours=self.colours[:count]
        )


class Colorization(Objective):
    """Σ over patches of the mean squared error of what colour adds to grey, in deviations of the channels.

    ``colorization_in_grey`` is the error of leaving everything grey; it weighs nothing.
    """

    name = "colorization"
    needs = "both"
    modality = "image"

    def __init__(self, patches: Patches, width: int, *, seed: int = 0) -> None:
        super().__init__()
        if patches.channels != len(_LUMINANCE):
            raise SettingsError(
                "colorization needs pictures in colour, and these are grey; choose another --objective"
            )
        self.patches = patches
        self.exit = nn.Linear(width, patches.side**2 * patches.channels)
        initialize(self.exit, seed=seed, name=f"objective.{self.name}")

    def prepare(self, batch: Batch, draws: Draws) -> ColouringTask:
        """Take the colours away."""
        grey = torch.cat((batch.inputs[:, :1], self.in_grey(batch.inputs[:, 1:])), dim=1)
        count = grey.shape[0] * (grey.shape[1] - 1)
        counts = {self.name: count, f"{self.name}_in_grey": count}
        return ColouringTask(replace(batch, inputs=grey), counts, batch.inputs)

    def in_grey(self, patches: Tensor) -> Tensor:
        """Patches (B, N, P) with the luminance in every channel."""
        mean, deviation = (
            torch.tensor(values)[:, None] for values in (self.patches.mean, self.patches.deviation)
        )
        light = patches.unflatten(2, (self.patches.channels, -1)) * deviation + mean
        grey = (light * torch.tensor(_LUMINANCE)[:, None]).sum(dim=2, keepdim=True)
        return ((grey - mean) / deviation).flatten(2)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The error of the painted colours, and that of none."""
        assert isinstance(task, ColouringTask)
        missing = (task.colours - task.batch.inputs)[:, 1:]
        errors = (self._added(model, task).float() - missing).square().mean(dim=-1)
        grey = missing.square().mean(dim=-1)
        return (
            LossTerm(self.name, errors.sum(), errors.numel()),
            LossTerm(f"{self.name}_in_grey", grey.sum(), grey.numel(), weight=0.0),
        )

    @torch.no_grad()
    def pictures(self, model: Model, task: ColouringTask) -> tuple[Tensor, Tensor, Tensor]:
        """In grey, as coloured and as they were: patches (B, N, P) each."""
        grey = task.batch.inputs[:, 1:]
        return grey, grey + self._added(model, task).float(), task.colours[:, 1:]

    def _added(self, model: Model, task: ColouringTask) -> Tensor:
        return self.exit(model.encode(task.batch)[:, 1:])
