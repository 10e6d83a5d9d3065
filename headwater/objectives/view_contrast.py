"""View contrast: two views of a picture are nearer to each other than to the views of any other.

Chen et al. 2020 (SimCLR), arXiv:2002.05709. Shape letters: B pictures, H height, W width, K channels, N patches, P
numbers of a patch.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.data.sequencers.patches import Patches
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.nn.pooling import MeanPooling
from headwater.objectives.contrast import Projection, TwoViews, side_by_side
from headwater.objectives.objective import Task
from headwater.objectives.picture_objective import NEAREST_LINES, PictureObjective, PictureTask, nearest
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """How a view may differ from its picture.

    It shows a square of at least ``least_area`` of the picture, mirrored or not where ``mirrored``, its contrast times
    1 ± ``contrast`` and its brightness ± ``brightness`` in deviations of the pool, in grey with probability ``grey``.
    """

    least_area: float = 0.3
    mirrored: bool = False
    contrast: float = 0.4
    brightness: float = 0.4
    grey: float = 0.0

    def of(self, pictures: Tensor, draws: Draws, name: str) -> Tensor:
        """A view of each picture (B, K, H, W), drawn for its item and the ``name`` of the view."""
        numbers = torch.from_numpy(draws.uniform(name, 7)).float()
        side = (self.least_area + (1 - self.least_area) * numbers[:, 0]).sqrt()
        middle = (1 - side[:, None]) * (2 * numbers[:, 1:3] - 1)
        turned = torch.where(numbers[:, 3] < 0.5, -1.0, 1.0) if self.mirrored else torch.ones(len(side))
        zero = torch.zeros(len(side))
        across = torch.stack((side * turned, zero, middle[:, 0]), dim=1)
        down = torch.stack((zero, side, middle[:, 1]), dim=1)
        grid = F.affine_grid(torch.stack((across, down), dim=1), list(pictures.shape), align_corners=False)
        views = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        factor = 1 + self.contrast * (2 * numbers[:, 4] - 1)
        shift = self.brightness * (2 * numbers[:, 5] - 1)
        views = views * factor[:, None, None, None] + shift[:, None, None, None]
        in_grey = (numbers[:, 6] < self.grey)[:, None, None, None]
        return torch.where(in_grey, views.mean(dim=1, keepdim=True), views)


class ViewContrast(TwoViews, PictureObjective):
    """-log of the share of a picture's other view among all views of a batch, by their cosine over ``temperature``.

    Views are squares of the picture at other places and of other sizes, in another light (``Changes``); pictures in
    colour are mirrored and sometimes grey; all frames of a clip change alike. The vector of a view is the mean of its
    patches. Guessing costs ln(2B − 1).
    """

    name = "view_contrast"
    lines = NEAREST_LINES

    def __init__(self, patches: Patches, width: int, *, temperature: float = 0.2, seed: int = 0) -> None:
        super().__init__()
        self.patches, self.temperature = patches, temperature
        still = patches.film is None
        in_three = still and patches.channels == 3  # what more channels measure has no grey
        self.changes = Changes(mirrored=still and patches.colour, grey=0.2 if in_three else 0.0)
        self.pooling = MeanPooling()
        self.projection = Projection(width)
        initialize(self.projection, seed=seed, name="objective.projection")

    def prepare(self, batch: Batch, draws: Draws) -> PictureTask:
        """Two views of every picture, the first ones before the second ones."""
        pictures = self.patches.layered(self.patches.joined(batch.inputs[:, 1:]))
        views = [self.changes.of(pictures, draws, name) for name in ("first view", "second view")]
        patches = torch.cat([self.patches.cut(self.patches.unlayered(view)) for view in views])
        inputs = torch.cat((batch.inputs.new_zeros(len(patches), 1, patches.shape[2]), patches), dim=1)
        layout = SequenceLayout.dense(*inputs.shape[:2])
        items = torch.from_numpy(np.tile(batch.items.numpy(), 2))
        changed = replace(batch, inputs=inputs, layout=layout, items=items)
        return PictureTask(changed, {self.name: len(inputs)})

    def vectors(self, model: Model, task: Task) -> Tensor:
        """Both views of every picture behind the projection."""
        return side_by_side(self.projection(self._vectors(model, task.batch)))

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """Views, and below each the views that are nearest to it: the best is the other one of the same picture."""
        return nearest(self._vectors(model, task.batch), task.batch.inputs[:, 1:], count)

    def _vectors(self, model: Model, batch: Batch) -> Tensor:  # (2B, C)
        return self.pooling(model.encode(batch), batch.layout)
