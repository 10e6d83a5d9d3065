"""Jigsaw: the tiles of a picture were mixed up; where did each stand?

Noroozi and Favaro 2016, arXiv:1603.09246, as a question to every tile, as in Chen et al. 2023, arXiv:2207.11971.
Shape letters: B pictures, N patches, P numbers of a patch, M tiles, C width.
"""

import torch
from torch import Tensor, nn

from headwater.data.sequencers.patches import Patches
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import Task
from headwater.objectives.reordering import ReorderedTask, Reordering

FEWEST_A_SIDE = 3


class Jigsaw(Reordering):
    """Where in the picture was each tile?

    A side has the fewest tiles, three or more, that its patches can be parted into evenly. The map from a tile, the
    mean of its patches, to its place is thrown away.
    """

    name = "jigsaw"
    lines = ("mixed", "solved", "as it was")
    drawn_for = "order of tiles"

    def __init__(self, patches: Patches, width: int, *, seed: int = 0) -> None:
        super().__init__()
        self.patches = patches
        self.down, self.across = (tiles_a_side(count) for count in (patches.rows, patches.columns))
        self.parts = self.down * self.across
        self.answer = nn.Linear(width, self.parts)
        initialize(self.answer, seed=seed, name="objective.answer.classifier")

    def arranged(self, patches: Tensor, origins: Tensor) -> Tensor:
        """At each place the tile of ``origins`` (B, M) of the picture (B, N, P)."""
        tiles = self._tiles(patches)
        return self._patches(tiles.gather(1, origins[:, :, None, None].expand(-1, -1, *tiles.shape[2:])))

    def logits(self, model: Model, task: Task) -> Tensor:
        """From the mean of a tile's patches: (B, M, M)."""
        return self.answer(self._tiles(model.encode(task.batch)[:, 1:]).mean(dim=2)).float()

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """Mixed, solved (places that no tile was put at are empty), and as it was."""
        assert isinstance(task, ReorderedTask)
        some = task.first(count)
        mixed = some.batch.inputs[:, 1:]
        tiles, places = self._tiles(mixed), self.logits(model, some).argmax(dim=-1)
        solved = torch.zeros_like(tiles)
        solved = solved.scatter(1, places[:, :, None, None].expand_as(tiles), tiles)
        return mixed, self._patches(solved), self.arranged(mixed, some.origins.argsort(dim=1))

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
