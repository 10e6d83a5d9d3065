import math

import pytest
import torch
import torch.nn.functional as F

from headwater.errors import SettingsError
from headwater.nn.feed_forward import build_feed_forward


def test_the_gated_one_bends_the_first_half() -> None:
    layer = build_feed_forward("geglu", 8, 12, bias=False)
    states = torch.randn(3, 5, 8)
    first, second = layer.inner.weight[:12], layer.inner.weight[12:]
    expected = (F.gelu(states @ first.T) * (states @ second.T)) @ layer.outer.weight.T
    torch.testing.assert_close(layer(states), expected)


def test_geglu_tanh_bends_by_the_approximation_of_t5() -> None:
    layer = build_feed_forward("geglu_tanh", 8, 12, bias=False)
    states = torch.randn(3, 8)
    first, second = (states @ layer.inner.weight.T).split(12, dim=-1)
    bent = first / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (first + 0.044715 * first**3)))
    torch.testing.assert_close(layer(states), (bent * second) @ layer.outer.weight.T)


def test_swiglu_is_the_written_out_equation() -> None:
    layer = build_feed_forward("swiglu", 8, 12, bias=False)
    states = torch.randn(3, 8)
    first, second = (states @ layer.inner.weight.T).split(12, dim=-1)
    expected = (first * torch.sigmoid(first) * second) @ layer.outer.weight.T
    torch.testing.assert_close(layer(states), expected)


def test_gpt2s_gelu_is_the_written_out_formula() -> None:
    layer = build_feed_forward("gelu_tanh", 8, 12, bias=True)
    states = torch.randn(3, 8)
    hidden = states @ layer.inner.weight.T + layer.inner.bias
    bent = 0.5 * hidden * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (hidden + 0.044715 * hidden**3)))
    torch.testing.assert_close(layer(states), bent @ layer.outer.weight.T + layer.outer.bias)


@pytest.mark.parametrize("kind", ["relu", "gelu"])
def test_the_plain_ones_are_two_linear_maps_around_an_activation(kind: str) -> None:
    layer = build_feed_forward(kind, 8, 12, bias=True)  # pyright: ignore[reportArgumentType]
    states = torch.randn(3, 8)
    hidden = states @ layer.inner.weight.T + layer.inner.bias
    expected = getattr(F, kind)(hidden) @ layer.outer.weight.T + layer.outer.bias
    torch.testing.assert_close(layer(states), expected)


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="relu, gelu, swiglu, geglu"):
        build_feed_forward("gegelu", 8, 12, bias=False)  # pyright: ignore[reportArgumentType]
