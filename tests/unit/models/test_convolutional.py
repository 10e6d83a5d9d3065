import torch
import torch.nn.functional as F

from headwater.models.convolutional import GatedConvolution


def written_out(layer: GatedConvolution, states: torch.Tensor, offsets: list[int]) -> torch.Tensor:
    """Every output token as an explicit sum over the tokens that its kernel touches."""
    weight, bias = (dict(layer.inner.named_parameters())[name] for name in ("weight", "bias"))
    rows: list[torch.Tensor] = []
    for place in range(len(states)):
        total: torch.Tensor = bias
        for tap, offset in enumerate(offsets):
            if 0 <= place + offset < len(states):
                total = total + weight[:, :, tap] @ states[place + offset]
        content, gate = total.chunk(2)
        rows.append(layer.outer(content * gate.sigmoid()))
    return torch.stack(rows)


def test_a_centred_convolution_looks_to_both_sides() -> None:
    layer, states = GatedConvolution(4, 6, kernel=3, dilation=2, causal=False), torch.randn(9, 4)
    torch.testing.assert_close(layer(states[None])[0], written_out(layer, states, [-2, 0, 2]))


def test_a_causal_convolution_looks_back() -> None:
    layer, states = GatedConvolution(4, 6, kernel=3, dilation=2, causal=True), torch.randn(9, 4)
    torch.testing.assert_close(layer(states[None])[0], written_out(layer, states, [-4, -2, 0]))


def test_the_gate_is_torchs_glu() -> None:
    layer, states = GatedConvolution(4, 6, kernel=1, dilation=1, causal=True), torch.randn(1, 5, 4)
    weights = dict(layer.inner.named_parameters())
    inner = states @ weights["weight"][:, :, 0].T + weights["bias"]
    torch.testing.assert_close(layer(states), layer.outer(F.glu(inner, dim=-1)))
