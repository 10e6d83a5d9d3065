"""Frame order: the frames of a clip were shuffled; when was each?

Misra et al. 2016, arXiv:1603.08561, as a question to every frame. Shape letters: B clips, T frames, S slices of time, M
patches of a slice, N patches, P numbers of a patch, C width.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.data.sequencers.patches import TUBELET, Patches
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective, PictureTask
from headwater.randomness import Draws
from headwater.sequence import Batch


@dataclass(frozen=True, slots=True)
class FrameOrderTask(PictureTask):
    """``origins`` (B, T): the time of the frame that is now shown at each time."""

    origins: Tensor


class FrameOrder(PictureObjective):
    """Σ over frames of -log p(its time | the shuffled clip); guessing costs ln T and is right once in T times.

    The map from a slice, the mean of its patches, to the times of its two frames is thrown away. A clip that looks
    the same backwards has two right answers, and only one of them counts.
    """

    name = "frame_order"

    def __init__(self, patches: Patches, width: int, *, seed: int = 0) -> None:
        super().__init__()
        self.patches, self.frames = patches, TUBELET * patches.slices
        self.answer = nn.Linear(width, TUBELET * self.frames)
        initialize(self.answer, seed=seed, name="objective.answer.classifier")

    def prepare(self, batch: Batch, draws: Draws) -> FrameOrderTask:
        """Shuffle the frames of each clip."""
        origins = torch.from_numpy(np.argsort(draws.uniform("order of frames", self.frames), axis=1))
        shuffled = torch.cat((batch.inputs[:, :1], self.played(batch.inputs[:, 1:], origins)), dim=1)
        return FrameOrderTask(replace(batch, inputs=shuffled), {self.name: origins.numel()}, origins)

    def played(self, patches: Tensor, order: Tensor) -> Tensor:
        """At each time the frame of ``order`` (B, T) of the clip (B, N, P)."""
        clips, slices, channels = len(patches), self.patches.slices, self.patches.channels // TUBELET
        pairs = patches.view(clips, slices, -1, channels, TUBELET, self.patches.side**2)
        frames = pairs.permute(0, 1, 4, 2, 3, 5).flatten(1, 2)  # (B, T, M, K, side²)
        chosen = frames[torch.arange(clips)[:, None], order]
        pairs = chosen.unflatten(1, (slices, TUBELET)).permute(0, 1, 3, 4, 2, 5)
        return pairs.reshape(patches.shape)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Cross-entropy over the times."""
        assert isinstance(task, FrameOrderTask)
        logits = self._logits(model, task).flatten(0, 1)
        origins = task.origins.flatten()
        right = (logits.argmax(dim=-1) == origins).sum()
        return (
            LossTerm(self.name, F.cross_entropy(logits, origins, reduction="sum"), len(origins), right=right),
        )

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """Shuffled, in the order that the model finds likeliest frame by frame, and as it was."""
        assert isinstance(task, FrameOrderTask)
        some = task.first(count)
        shuffled = some.batch.inputs[:, 1:]
        weights = torch.arange(self.frames, device=shuffled.device, dtype=torch.float32)
        expected = self._logits(model, some).softmax(dim=-1) @ weights
        return (
            shuffled,
            self.played(shuffled, expected.argsort(dim=1)),
            self.played(shuffled, some.origins.argsort(dim=1)),
        )

    def _logits(self, model: Model, task: FrameOrderTask) -> Tensor:  # (B, T, T)
        slices = model.encode(task.batch)[:, 1:].unflatten(1, (self.patches.slices, -1)).mean(dim=2)
        return self.answer(slices).unflatten(2, (TUBELET, self.frames)).flatten(1, 2).float()
