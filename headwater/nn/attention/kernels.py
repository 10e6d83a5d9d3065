"""Which kernel computes attention: the first of a literal table that does not refuse."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from headwater.errors import SettingsError
from headwater.nn.attention.dense import refuse_dense, run_dense
from headwater.nn.attention.flex import flex_pays, refuse_flex, run_flex
from headwater.nn.attention.fused import refuse_fused, run_fused
from headwater.nn.attention.inputs import AttentionInputs
from headwater.nn.attention.products import products_pay, refuse_products, run_products
from headwater.nn.attention.reference import refuse_reference, run_reference
from headwater.nn.attention.varlen import refuse_varlen, run_varlen
from headwater.nn.attention.windowed import refuse_windowed, run_windowed, windowed_pays


def _always(inputs: AttentionInputs) -> bool:
    del inputs
    return True


def _fused_pays(inputs: AttentionInputs) -> bool:
    return not products_pay(inputs)


class Kernel(NamedTuple):
    """One way to compute attention."""

    refusal: Callable[[AttentionInputs], str | None]  # why it would be wrong or impossible here, or None
    run: Callable[[AttentionInputs], Tensor]
    pays: Callable[[AttentionInputs], bool] = _always  # whether to choose it unasked


KERNELS: dict[str, Kernel] = {
    "fused": Kernel(refuse_fused, run_fused, _fused_pays),
    "varlen": Kernel(refuse_varlen, run_varlen),
    "flex": Kernel(refuse_flex, run_flex, flex_pays),
    "windowed": Kernel(refuse_windowed, run_windowed, windowed_pays),
    "products": Kernel(refuse_products, run_products, products_pay),
    "dense": Kernel(refuse_dense, run_dense),
    "reference": Kernel(refuse_reference, run_reference),
}
"""In the order they are tried."""


def attention(inputs: AttentionInputs, *, kernel: str | None = None) -> Tensor:
    """What every query reads: (B, T, H, D), by the first kernel that does not refuse.

    With ``kernel`` given, that one runs; its refusal, or an unknown name, is a SettingsError.
    """
    if kernel is not None:
        return _forced(inputs, kernel)
    return next(
        candidate.run(inputs)
        for candidate in KERNELS.values()
        if candidate.pays(inputs) and candidate.refusal(inputs) is None
    )


def _forced(inputs: AttentionInputs, name: str) -> Tensor:
    if name not in KERNELS:
        raise SettingsError(f"attention kernel {name!r} does not exist; choose one of {', '.join(KERNELS)}")
    if (reason := KERNELS[name].refusal(inputs)) is not None:
        raise SettingsError(f"attention kernel {name!r} cannot run here: {reason}; choose another or none")
    return KERNELS[name].run(inputs)
