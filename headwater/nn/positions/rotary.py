"""Rotary positions: queries and keys are turned by an angle that grows with their position.

Shape letters: B batch, T tokens, H heads, D head dim.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from headwater.errors import SettingsError
from headwater.nn.shared_layout import derive
from headwater.sequence import SequenceLayout


@dataclass(frozen=True, slots=True)
class Rotary:
    """Turn each pair of features (i, i + D/2) of a head by the angle position · theta^(-2i/D).

    The product of a turned query and a turned key then depends on their distance alone. Pairs are the two
    halves of the head, the convention of Llama and ModernBERT. Su et al. 2021, section 3.2.2,
    arXiv:2104.09864.
    """

    head_dim: int
    theta: float = 10_000.0

    def __post_init__(self) -> None:
        if self.head_dim < 2 or self.head_dim % 2:
            raise SettingsError(
                f"rotary positions turn pairs of features, but head_dim={self.head_dim}; give an even number"
            )

    def __call__(self, vectors: Tensor, layout: SequenceLayout) -> Tensor:
        """The vectors (B, T, H, D) turned to their positions in ``layout``."""
        cos, sin = self.angles(layout, vectors.dtype)
        first, second = vectors.chunk(2, dim=-1)
        # addcmul instead of a product and a sum: a third less time on CPU, forward and backward.
        return torch.cat(
            (torch.addcmul(first * cos, second, sin, value=-1), torch.addcmul(second * cos, first, sin)),
            dim=-1,
        )

    def angles(self, layout: SequenceLayout, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines of every position, each (B, T, 1, D/2); once per pass under a shared layout."""
        return derive(layout, (self, dtype), lambda: self._angles(layout.positions, dtype))

    def _angles(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        pairs = torch.arange(0, self.head_dim, 2, dtype=torch.float32, device=positions.device)
        # In half precision a position beyond 256 would already be rounded: angles are computed in single.
        angles = positions[:, :, None, None].float() * self.theta ** (-pairs / self.head_dim)
        return angles.cos().to(dtype), angles.sin().to(dtype)
