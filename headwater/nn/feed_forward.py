"""The position-wise half of a block: each token is transformed by itself.

Shape letters: B batch, T tokens, C width, F hidden width of the feed-forward.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from headwater.errors import SettingsError

FeedForwardKind = Literal["relu", "gelu", "swiglu", "geglu", "gelu_tanh", "geglu_tanh"]
FEED_FORWARD_KINDS: tuple[FeedForwardKind, ...] = get_args(FeedForwardKind)
Activation = Callable[[Tensor], Tensor]


class FeedForward(nn.Module):
    """Widen, bend, narrow: ``outer(activation(inner(x)))``.

    Source: Vaswani et al. 2017, section 3.3, arXiv:1706.03762 (with ReLU).
    """

    def __init__(
        self,
        width: int,
        hidden_width: int,
        activation: Activation,
        *,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.inner = nn.Linear(width, hidden_width, bias=bias)
        self.outer = nn.Linear(hidden_width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_states: Tensor) -> Tensor:  # (..., C) → (..., C)
        return self.outer(self.dropout(self.activation(self.inner(hidden_states))))


class GatedFeedForward(nn.Module):
    """One half of the widened vector, bent, opens and closes the other half.

    ``a, g = inner(x); outer(activation(a) · g)``. ``inner`` is one fused projection of 2F rows whose *first*
    half is the activated one: the order of ModernBERT's ``Wi`` and of Llama's ``gate_proj`` before
    ``up_proj``.

    Source: Shazeer 2020, arXiv:2002.05202.
    """

    def __init__(
        self,
        width: int,
        hidden_width: int,
        activation: Activation,
        *,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.inner = nn.Linear(width, 2 * hidden_width, bias=bias)
        self.outer = nn.Linear(hidden_width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_states: Tensor) -> Tensor:  # (..., C) → (..., C)
        activated, gate = self._halves(hidden_states)
        return self.outer(self.dropout(self.activation(activated) * gate))

    def _halves(self, hidden_states: Tensor) -> Sequence[Tensor]:  # (..., C) → (..., F) twice
        if hidden_states.device.type != "cpu" or type(self.inner) is not nn.Linear:
            return self.inner(hidden_states).chunk(2, dim=-1)
        # Two products of half the size leave each half in one piece; elementwise work on the halves of one tensor
        # takes a CPU twice as long, which is a twelfth of the whole feed-forward.
        weights = self.inner.weight.chunk(2)
        biases = (None, None) if self.inner.bias is None else self.inner.bias.chunk(2)  # pyright: ignore[reportUnnecessaryComparison]
        return [F.linear(hidden_states, *half) for half in zip(weights, biases, strict=True)]


FEED_FORWARDS: dict[FeedForwardKind, tuple[type[FeedForward] | type[GatedFeedForward], Activation]] = {
    "relu": (FeedForward, F.relu),
    "gelu": (FeedForward, F.gelu),
    "swiglu": (GatedFeedForward, F.silu),
    "geglu": (GatedFeedForward, F.gelu),
    "gelu_tanh": (FeedForward, partial(F.gelu, approximate="tanh")),
    "geglu_tanh": (GatedFeedForward, partial(F.gelu, approximate="tanh")),
}
GATED = tuple(kind for kind, (variant, _) in FEED_FORWARDS.items() if variant is GatedFeedForward)


def build_feed_forward(
    kind: FeedForwardKind, width: int, hidden_width: int, *, bias: bool, dropout: float = 0.0
) -> FeedForward | GatedFeedForward:
    """The feed-forward of that name.

    GELU is the exact one (erf), which is also the faster one on a CPU; ``gelu_tanh`` and ``geglu_tanh`` have the
    formula that GPT-2 and T5 1.1 were trained with: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))), Hendrycks and Gimpel
    2016, section 2, arXiv:1606.08415.
    """
    if kind not in FEED_FORWARDS:
        raise SettingsError(f"feed_forward={kind!r} does not exist; choose one of {', '.join(FEED_FORWARDS)}")
    variant, activation = FEED_FORWARDS[kind]
    return variant(width, hidden_width, activation, bias=bias, dropout=dropout)
