import pytest
import torch

from headwater.errors import SettingsError
from headwater.nn.norm import build_norm

STATES = torch.randn(4, 16, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_layer_norm_without_bias_is_the_written_out_equation() -> None:
    centred = STATES - STATES.mean(-1, keepdim=True)
    expected = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    norm = build_norm("layer_without_bias", 16, 1e-5)
    torch.testing.assert_close(norm(STATES), expected)
    assert [name for name, _ in norm.named_parameters()] == ["weight"]


def test_rms_norm_is_the_written_out_equation() -> None:
    expected = STATES / (STATES.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(build_norm("rms", 16, 1e-6)(STATES), expected)


def test_an_unknown_norm_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="layer, layer_without_bias, rms"):
        build_norm("batch", 16, 1e-5)  # pyright: ignore[reportArgumentType]
