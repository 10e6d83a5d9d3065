"""The kernels that need a GPU, against the written-out equation."""

import inspect
import itertools

import pytest
import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from headwater.nn.attention import KERNELS, AttentionInputs, AttentionMask, attention
from headwater.nn.positions import LinearBias
from headwater.nn.shared_layout import share
from headwater.sequence import SequenceLayout

pytestmark = [
    pytest.mark.gpu,
    # What flex attention's compiler looks at of a tensor that is no leaf; torch's own matter.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]

LENGTH, HEADS, HEAD_DIM = 300, 4, 32
LAYOUTS = {
    "dense": SequenceLayout.dense(2, LENGTH),
    "padded": SequenceLayout.padded(torch.tensor([LENGTH, 70]), LENGTH),
    "packed": SequenceLayout.packed([[100, 150], [3, 290]], LENGTH),
}
MASKS = {
    "all": AttentionMask(),
    "past": AttentionMask(causal=True),
    "near": AttentionMask(window=33),
    "near past": AttentionMask(causal=True, window=33),
}


def make_inputs(
    layouts: str,
    mask: str,
    key_value_heads: int,
    *,
    bias: LinearBias | None = None,
    scale: float | None = None,
) -> AttentionInputs:
    torch.manual_seed(0)
    layout = share(LAYOUTS[layouts].to("cuda"))

    def vectors(heads: int) -> Tensor:
        shape = (2, LENGTH, heads, HEAD_DIM)
        return torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True)

    return AttentionInputs(
        vectors(HEADS),
        vectors(key_value_heads),
        vectors(key_value_heads),
        MASKS[mask],
        layout,
        layout,
        bias=bias,
        scale=scale,
    )


def values_and_gradients(inputs: AttentionInputs, kernel: str | None) -> list[Tensor]:
    values = attention(inputs, kernel=kernel)
    weights = torch.linspace(-1, 1, values.numel(), device="cuda").reshape(values.shape)
    return [values, *torch.autograd.grad((values * weights).sum(), [inputs.query, inputs.key, inputs.value])]


def assert_equals_equation(inputs: AttentionInputs, kernel: str | None) -> None:
    found, expected = (values_and_gradients(inputs, name) for name in (kernel, "reference"))
    for one, other in zip(found, expected, strict=True):
        error = (one.float() - other.float()).norm() / other.float().norm()
        assert error < 0.02  # two roundings of bfloat16


@pytest.mark.parametrize("kernel", ["varlen", "flex", "windowed", "dense", None])
@pytest.mark.parametrize("layouts", LAYOUTS)
def test_a_kernel_equals_the_equation_forward_and_backward(kernel: str | None, layouts: str):
    for mask, key_value_heads in itertools.product(MASKS, (HEADS, 1)):
        inputs = make_inputs(layouts, mask, key_value_heads, scale=0.2)
        if kernel is None or KERNELS[kernel].refusal(inputs) is None:
            assert_equals_equation(inputs, kernel)


@pytest.mark.parametrize("layouts", LAYOUTS)
def test_flex_adds_a_position_bias(layouts: str):
    assert_equals_equation(make_inputs(layouts, "past", HEADS, bias=LinearBias(HEADS)), "flex")


def test_documents_end_to_end_are_refused_only_for_what_an_older_torch_lacks():
    known = inspect.signature(varlen_attn).parameters
    for layouts, mask in itertools.product(LAYOUTS, MASKS):
        inputs = make_inputs(layouts, mask, 1)
        able = "enable_gqa" in known and (inputs.mask.window is None or "window_size" in known)
        assert (KERNELS["varlen"].refusal(inputs) is None) == able
