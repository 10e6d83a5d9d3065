"""The fixed waves of the first Transformer, and the two ways in which others have written them down."""

from typing import Literal

import torch
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.sequence import SequenceLayout

Waves = Literal["paper", "halves", "tensor2tensor"]


def sinusoids(positions: Tensor, width: int, waves: Waves = "paper") -> Tensor:
    """Waves of geometrically growing length, read at each position: (..., width) in single precision.

    Feature 2i is sin(position / 10000^(2i/width)), feature 2i + 1 the cosine of the same angle.
    Vaswani et al. 2017, section 3.5, arXiv:1706.03762. "halves" holds the same numbers, all sines before all cosines
    (Marian); "tensor2tensor" too, with wave lengths that reach 10000 itself: 10000^(2i/(width − 2)) (fairseq,
    M2M-100).
    """
    if width % 2:
        raise SettingsError(
            f"sinusoids come in pairs of sine and cosine, but width={width}; give an even width"
        )
    pairs = torch.arange(0, width, 2, dtype=torch.float32, device=positions.device)
    exponents = pairs / (max(width - 2, 1) if waves == "tensor2tensor" else width)
    angles = positions[..., None].float() * 10_000.0**-exponents
    if waves == "paper":
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def grid_sinusoids(rows: int, columns: int, width: int, *, slices: int = 1) -> Tensor:
    """Waves over a grid, read line by line: (rows · columns, width), half of the features for each direction.

    He et al. 2022, appendix A.1 ("the sine-cosine version"), arXiv:2111.06377. Where the rows are those of several
    ``slices`` of time, one below the other, a quarter of the features tells the slice and the rest the place in it.
    """
    in_time = 0 if slices == 1 else width // 16 * 4
    half = (width - in_time) // 2
    if half % 2:
        raise SettingsError(f"waves in two directions need a width that 4 divides; found {width}")
    lines = torch.arange(rows)
    down, right = sinusoids(lines % (rows // slices), half), sinusoids(torch.arange(columns), half)
    parts = [down[:, None].expand(-1, columns, -1), right[None].expand(rows, -1, -1)]
    if in_time:
        time = sinusoids(lines // (rows // slices), in_time)
        parts.insert(0, time[:, None].expand(-1, columns, -1))
    return torch.cat(parts, dim=-1).flatten(0, 1)


class SinusoidalPositions(nn.Module):
    """One fixed vector per position, (B, T, C), for any length; nothing is learnt.

    ``start`` is the number of the first position: 1 where number 0 is kept for padding.
    """

    def __init__(self, width: int, waves: Waves = "paper", *, start: int = 0) -> None:
        super().__init__()
        self.width, self.start = width, start
        self.waves: Waves = waves

    def forward(self, layout: SequenceLayout) -> Tensor:
        return sinusoids(layout.positions + self.start, self.width, self.waves)
