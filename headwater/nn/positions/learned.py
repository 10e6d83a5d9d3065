"""One learnt vector per position."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.sequence import SequenceLayout

Grid = tuple[int, int, int]
"""Slices of time, rows, columns."""


class LearnedPositions(nn.Module):
    """One learnt vector per position, (B, T, C), for positions below ``capacity``.

    ``start`` is the row of the first position: 2 where the rows 0 and 1 were once kept for special tokens and are
    read by nobody (fairseq, BART). Gehring et al. 2017, section 3.1, arXiv:1705.03122.
    """

    def __init__(self, capacity: int, width: int, *, start: int = 0) -> None:
        super().__init__()
        self.capacity, self.start = capacity, start
        self.table = nn.Embedding(start + capacity, width)

    def forward(self, layout: SequenceLayout) -> Tensor:
        length = layout.positions.shape[1]
        if length > self.capacity:
            raise SettingsError(
                f"a row of {length} tokens is longer than the {self.capacity} learnt positions; "
                "cut the input, or build the model with more positions"
            )
        return self.table(layout.positions + self.start)


def stretched(table: Tensor, before: Grid, after: Grid) -> Tensor:
    """Vectors of a grid of patches (1 + S · R · K, C) for another grid: bicubic in place, linear in time.

    The first vector is that of [CLS] and stays. Source: Dosovitskiy et al. 2021, section 3.2, arXiv:2010.11929.
    """
    first, grid = table[:1], table[1:].float().unflatten(0, before)
    if before[1:] != after[1:]:
        picture = grid.permute(0, 3, 1, 2)
        grid = F.interpolate(picture, size=after[1:], mode="bicubic").permute(0, 2, 3, 1)
    if before[0] != after[0]:
        film = grid.flatten(1).T[None]  # (1, R · K · C, S)
        grid = F.interpolate(film, size=after[0], mode="linear")[0].T.reshape(after[0], *grid.shape[1:])
    return torch.cat((first, grid.flatten(0, 2).to(table.dtype)))
