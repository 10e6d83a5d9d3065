"""Writing in bf16: matrices rounded once, so that every token is written at the speed of their half size.

Keys and values that are held stay in fp32 on a CPU, whose attention of one token is several times slower in bf16
(docs/log.md, 2026-11-29).
"""

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from headwater.models.model import Model


def rounded(model: Model) -> Model:
    """A copy whose matrices and tables are in bf16; norms, and the stream between blocks, keep their precision."""
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


def its_numbers(model: Model) -> AbstractContextManager[object]:
    """Inside the block, products are in the precision of the model's matrices."""
    parameter = next(model.parameters())
    if any(weight.dtype is torch.bfloat16 for weight in model.parameters()):
        return torch.autocast(parameter.device.type, dtype=torch.bfloat16)
    return nullcontext()


def held_in(model: Model) -> torch.dtype:
    """The precision of the keys and values that a model holds."""
    parameter = next(model.parameters())
    return torch.float32 if parameter.device.type == "cpu" else parameter.dtype
