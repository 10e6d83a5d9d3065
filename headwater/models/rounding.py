"""Reading and writing in bf16: matrices rounded once, not again for every batch or token.

Keys and values that are held while writing stay in fp32 on a CPU, whose attention of one token is several times slower
in bf16 (docs/log.md, 2026-11-29).
"""

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headwater.models.model import Model


def rounded(model: Model) -> Model:
    """A copy whose matrices and tables are in bf16; norms, and the stream between blocks, keep their precision.

    To be read under autocast, which rounds what the matrices are multiplied with.
    """
    twin = copy.deepcopy(model)
    for module in twin.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            module.to(torch.bfloat16)
        if isinstance(module, nn.Embedding):
            module.register_forward_hook(_in_single)  # the stream between blocks begins here
    return twin


def _in_single(module: nn.Module, inputs: object, vectors: Tensor) -> Tensor:
    del module, inputs
    return vectors.float()


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where a model's numbers are, of which kind, and whether its matrices are rounded."""

    device: torch.device
    dtype: torch.dtype
    rounded: bool

    @classmethod
    def of(cls, model: Model) -> "Numbers":
        """Asked once: a look at every parameter takes as long as a token of a small model."""
        parameters = list(model.parameters())
        rounded = any(one.dtype is torch.bfloat16 for one in parameters)
        return cls(parameters[0].device, parameters[0].dtype, rounded)

    def products(self) -> AbstractContextManager[object]:
        """Inside the block, products are in the precision of the matrices."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.rounded else nullcontext()

    @property
    def held(self) -> torch.dtype:
        """The precision of keys and values that are held."""
        return torch.float32 if self.rounded and self.device.type == "cpu" else self.dtype
