"""Low-rank adapters: a frozen matrix learns a small correction. Shape letters: O outputs, C inputs, R rank."""

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from headwater.errors import SettingsError
from headwater.randomness import key

TARGETS = ("attention.qkv", "attention.out", "feed_forward.inner", "feed_forward.outer")
"""Ends of the names of the linear maps that are adapted: all of a block."""


class LowRank(nn.Module):
    """W + (``alpha`` / R) · B A: A (R, C) is drawn, B (O, R) begins at zero, so nothing changes at first.

    A matrix that holds several projections one below the other (``rows`` of each) has an A and a B for each.
    Source: Hu et al. 2021, section 4.1, arXiv:2106.09685.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float, rows: Sequence[int] = ()) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.rows = tuple(rows) or (outputs,)
        self.scale = alpha / rank
        self.down = nn.ParameterList(weight.new_zeros(rank, inputs) for _ in self.rows)  # A
        self.up = nn.ParameterList(weight.new_zeros(part, rank) for part in self.rows)  # B

    def forward(self, weight: Tensor) -> Tensor:  # (O, C) → (O, C)
        parts = [up @ down for up, down in zip(self.up, self.down, strict=True)]
        return weight + self.scale * (parts[0] if len(parts) == 1 else torch.cat(parts))


def adapt(
    module: nn.Module, *, rank: int, alpha: float, rows: dict[str, Sequence[int]], seed: int
) -> list[str]:
    """Freeze every parameter of ``module`` and give its linear maps low-rank corrections; their names.

    ``rows`` names the matrices that hold several projections. The corrections are functions of ``seed`` and their
    names.
    """
    if rank < 1 or not alpha > 0:
        raise SettingsError(
            f"rank = {rank} and alpha = {alpha} of an adapter; expected a rank of 1 or more and alpha above 0"
        )
    module.requires_grad_(False)
    names = [
        name
        for name, part in cast(Iterable[tuple[str, nn.Module]], module.named_modules())
        if isinstance(part, nn.Linear) and name.endswith(TARGETS)
    ]
    for name in names:
        linear = cast(nn.Linear, module.get_submodule(name))
        correction = LowRank(linear.weight, rank, alpha, rows.get(f"{name}.weight", ()))
        for number, down in enumerate(correction.down):
            generator = torch.Generator().manual_seed(key(seed, f"adapter {name}.{number}"))
            drawn = torch.empty(down.shape)
            nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
            with torch.no_grad():
                down.copy_(drawn)
        parametrize.register_parametrization(linear, "weight", correction)
    if not names:
        raise SettingsError(
            "this model has no linear maps that an adapter could correct; use --adapt full or head"
        )
    return names


def corrections(module: nn.Module) -> dict[str, LowRank]:
    """The corrections of an adapted module, by the name of the linear map."""
    found: dict[str, LowRank] = {}
    for name, part in cast(Iterable[tuple[str, nn.Module]], module.named_modules()):
        if isinstance(part, LowRank):
            found[name.split(".parametrizations.")[0]] = part
    return found


def merge(module: nn.Module) -> None:
    """Write every correction into its matrix: the module is again what it was, with other numbers."""
    for name in corrections(module):
        parametrize.remove_parametrizations(module.get_submodule(name), "weight", leave_parametrized=True)
