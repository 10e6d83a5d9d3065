"""What a block adds to its input, and when it adds nothing. Shape letters: B batch, T tokens, C width."""

import torch
from torch import Tensor, nn

from headwater.errors import SettingsError


class Residual(nn.Module):
    """``x + dropout(update)``; with stochastic depth the whole update of a row is sometimes left out.

    A row keeps its update with probability 1 − p and is then divided by 1 − p, so the expected output is the
    one of the evaluated model. Both kinds of noise act only while training and use torch's own generator.

    Source: Srivastava et al. 2014 (dropout); Huang et al. 2016, arXiv:1603.09382 (stochastic depth).
    """

    def __init__(self, *, dropout: float = 0.0, stochastic_depth: float = 0.0) -> None:
        super().__init__()
        for name, share in (("dropout", dropout), ("stochastic_depth", stochastic_depth)):
            if not 0.0 <= share < 1.0:
                raise SettingsError(f"{name}={share} is not a probability below 1; choose 0 … 0.99")
        self.dropout = nn.Dropout(dropout)
        self.stochastic_depth = stochastic_depth

    def forward(self, hidden_states: Tensor, update: Tensor) -> Tensor:  # (B, T, C) twice → (B, T, C)
        update = self.dropout(update)
        if self.training and self.stochastic_depth > 0.0:
            keep = 1.0 - self.stochastic_depth
            rows = torch.empty(len(update), 1, 1, dtype=update.dtype, device=update.device).bernoulli_(keep)
            update = update * (rows / keep)
        return hidden_states + update

    def extra_repr(self) -> str:
        """What ``repr`` shows of this module."""
        return f"stochastic_depth={self.stochastic_depth}"
