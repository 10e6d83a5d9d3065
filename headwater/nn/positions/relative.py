"""Biases that depend on how far apart query and key stand: T5's buckets and ALiBi's lines."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headwater.errors import SettingsError


class RelativeBuckets(nn.Module):
    """One learnt number per head and bucket of distances; near distances have a bucket each, far ones share.

    Half of the buckets hold exact distances, the other half grow logarithmically up to ``max_distance``; all
    longer distances share the last. With ``both_sides`` past and future have separate halves; without, every
    future key falls into the bucket of distance 0. One table serves all blocks of a stack. Raffel et al. 2020,
    section 2.1, arXiv:1910.10683.
    """

    def __init__(
        self, num_heads: int, *, num_buckets: int = 32, max_distance: int = 128, both_sides: bool = True
    ) -> None:
        super().__init__()
        check_buckets(num_buckets, max_distance, both_sides=both_sides)
        self.num_buckets, self.max_distance, self.both_sides = num_buckets, max_distance, both_sides
        self.table = nn.Parameter(torch.zeros(num_buckets, num_heads))

    def forward(self, head: Tensor, query_position: Tensor, key_position: Tensor) -> Tensor:
        return self.table[self.bucket(key_position - query_position), head]

    def bucket(self, distance: Tensor) -> Tensor:
        """The bucket of a distance, key position minus query position."""
        if not self.both_sides:
            return self._one_side(-distance.clamp(max=0), self.num_buckets)
        half = self.num_buckets // 2
        return self._one_side(distance.abs(), half) + torch.where(distance > 0, half, 0)

    def _one_side(self, distance: Tensor, num_buckets: int) -> Tensor:
        exact = num_buckets // 2
        growth = (num_buckets - exact) / math.log(self.max_distance / exact)
        far = exact + ((distance.float() / exact).clamp(min=1.0).log() * growth).long()
        return torch.where(distance < exact, distance, far.clamp(max=num_buckets - 1))


def check_buckets(num_buckets: int, max_distance: int, *, both_sides: bool) -> None:
    """Refuse buckets that cannot tell near distances from far ones, with a SettingsError."""
    exact = num_buckets // (4 if both_sides else 2)
    if exact < 1 or max_distance <= exact:
        raise SettingsError(
            f"num_buckets={num_buckets} and max_distance={max_distance} leave no room for near and far "
            f"distances; give at least {4 if both_sides else 2} buckets and a max_distance "
            f"above {max(exact, 1)}"
        )


@dataclass(frozen=True, slots=True)
class LinearBias:
    """Each head pays a fixed price per token of distance: -slope · |query position - key position| (ALiBi).

    With n heads, n a power of two, head i (from 1) has slope 2^(-8i/n). Other counts take the slopes of the
    power of two below, then every second slope of the power above. Press et al. 2022, section 3,
    arXiv:2108.12409.
    """

    num_heads: int

    def __call__(self, head: Tensor, query_position: Tensor, key_position: Tensor) -> Tensor:
        return -self.slope(head) * (query_position - key_position).abs()

    def slope(self, head: Tensor) -> Tensor:
        """The price of each head, counted from 0."""
        power = 2 ** (self.num_heads.bit_length() - 1)
        regular = (head + 1) * (8.0 / power)
        between = (2 * (head - power) + 1) * (4.0 / power)
        return torch.exp2(-torch.where(head < power, regular, between))
