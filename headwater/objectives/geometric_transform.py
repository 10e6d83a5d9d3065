"""Geometric transform: by how many quarter turns was this picture turned?

Gidaris et al. 2018, arXiv:1803.07728.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.data.sequencers.patches import Patches
from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.heads import HeadSettings, build_head
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective, PictureTask
from headwater.randomness import Draws
from headwater.sequence import Batch

TURNS = 4


class GeometricTransform(PictureObjective):
    """-Σ log p(turns | the turned picture), of 0, 1, 2 and 3 quarter turns; the head that answers is thrown away.

    Guessing costs ln 4 and is right once in four times. Only pictures as wide as high can be turned in their place.
    """

    name = "geometric_transform"
    lines = ("turned", "turned back", "as it was")

    def __init__(self, patches: Patches, backbone: Backbone, *, seed: int = 0) -> None:
        super().__init__()
        if patches.rows != patches.columns:
            raise SettingsError(
                f"{self.name} turns squares, and these pictures are {patches.width} × {patches.height}; choose another "
                "--objective"
            )
        self.patches = patches
        self.answer = build_head(backbone, HeadSettings(name="classification", classes=TURNS))
        initialize(self.answer, seed=seed, name=f"objective.{self.name}")

    def prepare(self, batch: Batch, draws: Draws) -> PictureTask:
        """Turn each picture; ``labels`` say how often."""
        turns = torch.from_numpy(draws.integers("quarter turns", TURNS, 1)[:, 0])
        turned = self.turned(batch.inputs[:, 1:], turns)
        inputs = torch.cat((batch.inputs[:, :1], turned), dim=1)
        return PictureTask(replace(batch, inputs=inputs, labels=turns), {self.name: len(turns)})

    def turned(self, patches: Tensor, turns: Tensor) -> Tensor:
        """Patches of pictures (B, N, P), each turned to the left by so many quarters (B,)."""
        pictures = self.patches.joined(patches)
        found = torch.empty_like(pictures)
        for count in range(TURNS):
            some = turns == count
            found[some] = pictures[some].rot90(count, dims=(2, 3))
        return self.patches.cut(found)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Cross-entropy over the four turns."""
        labels = task.batch.labels
        assert labels is not None
        logits = self._logits(model, task)
        right = (logits.argmax(dim=-1) == labels).sum()
        return (
            LossTerm(self.name, F.cross_entropy(logits, labels, reduction="sum"), len(labels), right=right),
        )

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """Turned, turned back by the answer, and as it was."""
        assert isinstance(task, PictureTask)
        some = task.first(count)
        shown, labels = some.batch.inputs[:, 1:], some.batch.labels
        assert labels is not None
        answers = self._logits(model, some).argmax(dim=-1)
        return shown, self.turned(shown, -answers % TURNS), self.turned(shown, -labels % TURNS)

    def _logits(self, model: Model, task: Task) -> Tensor:  # (B, 4)
        return self.answer(model.encode(task.batch), task.batch.layout).float()
