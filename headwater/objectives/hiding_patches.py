"""Hiding patches where they stand: the model reads every place, and is asked what stood at the hidden ones.

What masked patches, their classes and distillation have in common. Shape letters: B pictures, N patches, S patches in
sight, P numbers of a patch, C width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
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

    def counting(self, counts: Mapping[str, int]) -> Self:
        """The same, with more loss terms."""
        return replace(self, counts={**self.counts, **counts})


class Hides(Protocol):
    """Chooses what of a picture stays in sight."""

    def of(self, batch: Batch, draws: Draws, name: str) -> HidingTask:
        """Choose the patches in sight; the loss ``name`` counts the others."""
        ...


class Hiding:
    """A ``share`` of the patches of every picture is hidden, as many of each; of a clip the same in all ``slices``."""

    def __init__(self, count: int, share: float, *, slices: int = 1) -> None:
        self.count, self.share, self.slices = count // slices, share, slices
        self.kept = round(self.count * (1.0 - share))
        if not 0.0 < share < 1.0 or not 0 < self.kept < self.count:
            raise SettingsError(
                f"objective.share = {share} of {self.count} patches leaves {self.kept} in sight; expected a share "
                "between 0 and 1 that leaves some of both"
            )

    def of(self, batch: Batch, draws: Draws, name: str) -> HidingTask:
        """Choose the patches in sight; the loss counts the others."""
        order = np.argsort(draws.uniform("patches in sight", self.count), axis=1)
        later = self.count * np.arange(self.slices)[:, None]
        seen, hidden = (
            np.sort((part[:, None] + later).reshape(len(part), -1), axis=1)
            for part in (order[:, : self.kept], order[:, self.kept :])
        )
        return hiding_task(batch, seen, hidden, name)


class HidingSlices:
    """Of every clip the same slices of time are hidden."""

    def __init__(self, count: int, *, slices: int, hidden: Sequence[int]) -> None:
        if not 0 < len(hidden) < slices:
            raise SettingsError(
                f"a clip of {slices} slices of two frames cannot be hidden in part; give more with --set data.frames=8"
            )
        slice_of = np.arange(count) // (count // slices)
        asked = np.isin(slice_of, hidden)
        self.seen, self.hidden = np.flatnonzero(~asked), np.flatnonzero(asked)

    def of(self, batch: Batch, draws: Draws, name: str) -> HidingTask:
        """The loss counts the hidden patches; nothing is drawn."""
        del draws
        every = (len(batch.inputs), 1)
        return hiding_task(batch, np.tile(self.seen, every), np.tile(self.hidden, every), name)


def hiding_task(batch: Batch, seen: NDArray[np.int64], hidden: NDArray[np.int64], name: str) -> HidingTask:
    """A task of patches (B, S) in sight and (B, N − S) hidden, each counted from 0."""
    first = torch.zeros(len(seen), 1, dtype=torch.int64)
    places = torch.cat((first, torch.from_numpy(seen + 1)), dim=1)
    return HidingTask(batch, {name: hidden.size}, places, torch.from_numpy(hidden + 1))


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
