"""Hiding patches where they stand: the model reads every place, and is asked what stood at the hidden ones.

What masked patches, their classes and distillation have in common. Shape letters: B pictures, N patches, S patches in
sight, P numbers of a patch, C width.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.objectives.picture_objective import PictureTask
from headwater.randomness import Draws
from headwater.sequence import Batch


@dataclass(frozen=True, slots=True)
class HidingTask(PictureTask):
    """``seen`` (B, 1 + S) are the positions in sight, [CLS] first; ``hidden`` (B, N − S) those that are asked for."""

    seen: Tensor
    hidden: Tensor


class Hiding:
    """A ``share`` of the patches of every picture is hidden, as many of each."""

    def __init__(self, count: int, share: float) -> None:
        self.count, self.share, self.kept = count, share, round(count * (1.0 - share))
        if not 0.0 < share < 1.0 or not 0 < self.kept < count:
            raise SettingsError(
                f"objective.share = {share} of {count} patches leaves {self.kept} in sight; expected a share "
                "between 0 and 1 that leaves some of both"
            )

    def of(self, batch: Batch, draws: Draws, name: str) -> HidingTask:
        """Choose the patches in sight; the loss counts the others."""
        order = np.argsort(draws.uniform("patches in sight", self.count), axis=1) + 1
        seen = torch.from_numpy(np.sort(order[:, : self.kept], axis=1))
        hidden = torch.from_numpy(np.sort(order[:, self.kept :], axis=1))
        seen = torch.cat((seen.new_zeros(len(seen), 1), seen), dim=1)
        return HidingTask(batch, {name: hidden.numel()}, seen, hidden)


def hidden_states(model: Model, task: HidingTask, missing: nn.Embedding) -> Tensor:
    """The states at the hidden places of pictures whose hidden patches are one learnt vector: (B · (N − S), C).

    Source: Xie et al. 2022, section 3.2, arXiv:2111.09886.
    """
    backbone, batch = model.backbone, task.batch
    rows, length = batch.inputs.shape[:2]
    hidden = torch.zeros(rows, length, dtype=torch.bool, device=batch.inputs.device)
    hidden = hidden.scatter(1, task.hidden, True)[..., None]
    embedded = backbone.embed(batch.inputs.masked_fill(hidden, 0.0), batch.layout)
    embedded = embedded + hidden * missing.weight[0]
    return backbone.encode_places(embedded, batch.layout, hidden_places(task))


def hidden_places(task: HidingTask) -> Tensor:
    """The hidden places in the flattened rows: (B · (N − S),)."""
    rows, length = task.batch.inputs.shape[:2]
    return (task.hidden + length * torch.arange(rows, device=task.hidden.device)[:, None]).flatten()


def taken(values: Tensor, places: Tensor) -> Tensor:
    """Some positions of each row: (B, T, C) and (B, S) → (B, S, C)."""
    return values.gather(1, places[..., None].expand(-1, -1, values.shape[-1]))
