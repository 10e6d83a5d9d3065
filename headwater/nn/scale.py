"""A factor that is learnt as its logarithm, so that it stays above 0."""

import math

import torch
from torch import Tensor, nn

BEGINNING = 1 / 0.07
LARGEST = 100.0


class LearnedScale(nn.Module):
    """``min(exp(logarithm), 100)``; it begins as 1 / 0.07.

    Source: Radford et al. 2021, section 2.5, arXiv:2103.00020.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(math.log(BEGINNING)))

    def forward(self) -> Tensor:  # ()
        return self.logarithm.exp().clamp(max=LARGEST)
