"""Geometric transform: how was this picture turned, or flipped?

Gidaris et al. 2018, arXiv:1803.07728, with the flips of the square beside its turns.

A symmetry of the square is a number: ``turns`` quarter turns to the left, and ``turns + 4`` where left and right are
exchanged before that. Shape letters: B pictures, N patches, P numbers of a patch.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.data.sequencers.patches import Patches
from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.heads import HeadSettings, build_head
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import Guess, LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective, PictureTask
from headwater.randomness import Draws
from headwater.sequence import Batch

TURNS = 4
Transforms = Literal["rotations", "flips", "both"]
SYMMETRIES: Mapping[Transforms, tuple[int, ...]] = {
    "rotations": (0, 1, 2, 3),
    "flips": (0, 4, 6, 2),  # as it was, left for right, top for bottom, both
    "both": tuple(range(2 * TURNS)),
}


class GeometricTransform(PictureObjective):
    """-Σ log p(symmetry | the changed picture); the head that answers is thrown away.

    Of four rotations or four flips guessing costs ln 4 and is right once in four times, of both ln 8 and once in
    eight. Only pictures as wide as high can be turned by a quarter in their place.
    """

    name = "geometric_transform"
    lines = ("turned", "turned back", "as it was")

    def __init__(
        self, patches: Patches, backbone: Backbone, *, transforms: Transforms = "rotations", seed: int = 0
    ) -> None:
        super().__init__()
        if patches.rows != patches.columns and transforms != "flips":
            raise SettingsError(
                f"{self.name} turns squares, and these pictures are {patches.width} × {patches.height}; choose "
                "--set objective.transforms=flips or another --objective"
            )
        self.patches, self.symmetries = patches, torch.tensor(SYMMETRIES[transforms])
        self.answer = build_head(backbone, HeadSettings(name="classification", classes=len(self.symmetries)))
        initialize(self.answer, seed=seed, name=f"objective.{self.name}")

    def prepare(self, batch: Batch, draws: Draws) -> PictureTask:
        """Change each picture; ``labels`` say which of the symmetries it was."""
        labels = torch.from_numpy(draws.integers("quarter turns", len(self.symmetries), 1)[:, 0])
        changed = self.changed(batch.inputs[:, 1:], self.symmetries[labels])
        inputs = torch.cat((batch.inputs[:, :1], changed), dim=1)
        return PictureTask(replace(batch, inputs=inputs, labels=labels), {self.name: len(labels)})

    def changed(self, patches: Tensor, symmetries: Tensor) -> Tensor:
        """Patches of pictures (B, N, P), each under its symmetry (B,)."""
        pictures = self.patches.joined(patches)
        found = torch.empty_like(pictures)
        for symmetry in symmetries.unique().tolist():
            some = symmetries == symmetry
            mirrored, turns = divmod(symmetry, TURNS)
            chosen = pictures[some].flip(3) if mirrored else pictures[some]
            found[some] = chosen.rot90(turns, dims=(2, 3))
        return self.patches.cut(found)

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """Any symmetry."""
        del task
        return {self.name: Guess(math.log(len(self.symmetries)), 1 / len(self.symmetries))}

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Cross-entropy over the symmetries."""
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
        back, true = (self._undone(shown, found) for found in (answers, labels))
        return shown, back, true

    def _undone(self, patches: Tensor, labels: Tensor) -> Tensor:
        return self.changed(patches, inverse(self.symmetries.to(labels.device)[labels]))

    def _logits(self, model: Model, task: Task) -> Tensor:  # (B, symmetries)
        return self.answer(model.encode(task.batch), task.batch.layout).float()


def inverse(symmetries: Tensor) -> Tensor:
    """What undoes each: a turn the other way, and a flip, turned or not, itself."""
    return torch.where(symmetries < TURNS, -symmetries % TURNS, symmetries)
