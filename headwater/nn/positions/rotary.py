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

    @property
    def frequencies(self) -> Tensor:
        """The turn of each pair from one position to the next, in radians: (D / 2,)."""
        return self.theta ** (-torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim)

    def __call__(self, vectors: Tensor, layout: SequenceLayout) -> Tensor:
        """The vectors (B, T, H, D) turned to their positions in ``layout``."""
        cos, sin = self.angles(layout, vectors.dtype)
        # Whole heads and addcmul instead of halves, products and sums: half the time on CPU, forward and backward.
        return torch.addcmul(vectors * cos, vectors.roll(self.head_dim // 2, -1), sin)

    def angles(self, layout: SequenceLayout, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines of every position, each (B, T, 1, D); once per pass under a shared layout.

        The first half of a head takes −sin of the second, which in turn takes +sin of the first.
        """
        return derive(layout, (self, dtype), lambda: self._angles(layout.positions, dtype))

    def _angles(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        # In half precision a position beyond 256 would already be rounded: angles are computed in single.
        angles = positions[:, :, None, None].float() * self.frequencies.to(positions.device)
        cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
        return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)
