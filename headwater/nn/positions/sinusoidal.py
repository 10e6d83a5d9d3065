"""The fixed waves of the first Transformer."""

import torch
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.sequence import SequenceLayout


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Waves of geometrically growing length, read at each position: (..., width) in single precision.

    Feature 2i is sin(position / 10000^(2i/width)), feature 2i + 1 the cosine of the same angle.
    Vaswani et al. 2017, section 3.5, arXiv:1706.03762.
    """
    if width % 2:
        raise SettingsError(
            f"sinusoids come in pairs of sine and cosine, but width={width}; give an even width"
        )
    pairs = torch.arange(0, width, 2, dtype=torch.float32, device=positions.device)
    angles = positions[..., None].float() * 10_000.0 ** (-pairs / width)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


class SinusoidalPositions(nn.Module):
    """One fixed vector per position, (B, T, C), for any length; nothing is learnt."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, layout: SequenceLayout) -> Tensor:
        return sinusoids(layout.positions, self.width)
