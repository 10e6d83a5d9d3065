"""Jigsaw: the tiles of a picture were mixed up; where did each stand?

Noroozi and Favaro 2016, arXiv:1603.09246, as a question to every tile, as in Chen et al. 2023, arXiv:2207.11971.
Shape letters: B pictures, N patches, P numbers of a patch, M tiles, C width.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.data.sequencers.patches import Patches
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective, PictureTask
from headwater.randomness import Draws
from headwater.sequence import Batch

FEWEST_A_SIDE = 3


@dataclass(frozen=True, slots=True)
class JigsawTask(PictureTask):
    """``origins`` (B, M): the place that the tile came from which now lies at each place."""

    origins: Tensor


class Jigsaw(PictureObjective):
    """Σ over tiles of -log p(its place | the mixed picture); guessing costs ln M and is right once in M times.

    A side has the fewest tiles, three or more, that its patches can be parted into evenly. The map from a tile, the
    mean of its patches, to its place is thrown away.
    """

    name = "jigsaw"

    def __init__(self, patches: Patches, width: int, *, seed: int = 0) -> None:
        super().__init__()
        self.patches = patches
        self.down, self.across = (tiles_a_side(count) for count in (patches.rows, patches.columns))
        self.answer = nn.Linear(width, self.down * self.across)
        initialize(self.answer, seed=seed, name="objective.answer.classifier")

    def prepare(self, batch: Batch, draws: Draws) -> JigsawTask:
        """Mix the tiles of each picture."""
        count = self.down * self.across
        origins = torch.from_numpy(np.argsort(draws.uniform("order of tiles", count), axis=1))
        mixed = torch.cat((batch.inputs[:, :1], self.laid(batch.inputs[:, 1:], origins)), dim=1)
        return JigsawTask(replace(batch, inputs=mixed), {self.name: origins.numel()}, origins)

    def laid(self, patches: Tensor, origins: Tensor) -> Tensor:
        """At each place the tile of ``origins`` (B, M) of the picture (B, N, P)."""
        tiles = self._tiles(patches)
        return self._patches(tiles.gather(1, origins[:, :, None, None].expand(-1, -1, *tiles.shape[2:])))

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Cross-entropy over the places."""
        assert isinstance(task, JigsawTask)
        logits = self._logits(model, task).flatten(0, 1)
        origins = task.origins.flatten()
        right = (logits.argmax(dim=-1) == origins).sum()
        return (
            LossTerm(self.name, F.cross_entropy(logits, origins, reduction="sum"), len(origins), right=right),
        )

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """Mixed, solved (places that no tile was put at are empty), and as it was."""
        assert isinstance(task, JigsawTask)
        some = task.first(count)
        mixed = some.batch.inputs[:, 1:]
        tiles, places = self._tiles(mixed), self._logits(model, some).argmax(dim=-1)
        solved = torch.zeros_like(tiles)
        solved = solved.scatter(1, places[:, :, None, None].expand_as(tiles), tiles)
        return mixed, self._patches(solved), self.laid(mixed, some.origins.argsort(dim=1))

    def _logits(self, model: Model, task: JigsawTask) -> Tensor:  # (B, M, M)
        return self.answer(self._tiles(model.encode(task.batch)[:, 1:]).mean(dim=2)).float()

    def _tiles(self, values: Tensor) -> Tensor:  # (B, N, C) → (B, M, N / M, C)
        rows, columns = self.patches.rows // self.down, self.patches.columns // self.across
        squares = values.unflatten(1, (self.down, rows, self.across, columns)).transpose(2, 3)
        return squares.flatten(3, 4).flatten(1, 2)

    def _patches(self, tiles: Tensor) -> Tensor:  # the reverse
        rows, columns = self.patches.rows // self.down, self.patches.columns // self.across
        squares = tiles.unflatten(2, (rows, columns)).unflatten(1, (self.down, self.across)).transpose(2, 3)
        return squares.flatten(1, 4)


def tiles_a_side(patches: int) -> int:
    """The smallest divisor of a number of patches that is three or more."""
    return next((count for count in range(FEWEST_A_SIDE, patches) if patches % count == 0), patches)
