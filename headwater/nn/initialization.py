"""All first weights in one place. Shape letters: C width, N depth.

| parameter | distribution |
|---|---|
| token and position tables | truncated normal, σ = 0.02 |
| linear maps | truncated normal, σ = √(2 / 5·inputs) |
| classifiers | truncated normal, σ = 0.02: a new head begins by guessing |
| linear maps that write into the stream (``out``, ``outer``) | the same divided by √(updates in the model) |
| convolutions | truncated normal, σ = √(1 / inputs·kernel) |
| LSTM and GRU, gate by gate | input maps Xavier uniform, recurrent maps orthogonal |
| an LSTM's forget gate | bias 1: open |
| norms | 1; every bias 0, T5's relative biases too |

σ = √(2 / 5·inputs) is 0.02 at width 1,024, where BERT and GPT-2 put theirs, and grows as the width shrinks
(Nguyen and Salazar 2019, section 3.2, arXiv:1910.05895). Division by √updates keeps the variance of the
stream from growing with depth (Radford et al. 2019, section 2.3). Truncation at two σ is BERT's. Small tied
tables make the first loss ln(vocabulary). Orthogonal maps: Saxe et al. 2014, arXiv:1312.6120; open forget
gate: Jozefowicz et al. 2015.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from headwater.nn.heads import TiedDecoder
from headwater.nn.positions import RelativeBuckets
from headwater.randomness import key

SMALL_DEVIATION = 0.02
RESIDUAL_WRITERS = ("attention.out", "cross_attention.out", "feed_forward.outer", "convolution.outer")


@torch.no_grad()
def initialize(module: nn.Module, *, seed: int, name: str = "") -> None:
    """Draw every parameter of ``module`` anew, each from a generator keyed by (seed, its full name).

    ``name`` is the name of ``module`` in the model it belongs to. A parameter's first value depends on
    nothing but its name, its shape and the table above: adding a head leaves all other weights as they were,
    and a head has the same first weights on every backbone of one width. Raises TypeError for a parameter
    without a row.
    """
    parts = cast(list[tuple[str, nn.Module]], list(module.named_modules(prefix=name)))
    updates = sum(part_name.endswith(RESIDUAL_WRITERS) for part_name, _ in parts)
    for part_name, part in parts:
        if not list(part.parameters(recurse=False)):
            continue
        _initialize_part(part, _deviation(part_name, part, updates), _Generators(seed, part_name))


def _deviation(name: str, part: nn.Module, updates: int) -> float:
    """σ of a linear map, by what it does in the model; other parts have their own rows."""
    if not isinstance(part, nn.Linear) or name.endswith("classifier"):
        return SMALL_DEVIATION
    scale = 1.0 / math.sqrt(updates) if name.endswith(RESIDUAL_WRITERS) else 1.0
    return scale * math.sqrt(0.4 / part.in_features)


class _Generators:
    """A fresh generator for each parameter of one module."""

    def __init__(self, seed: int, name: str) -> None:
        self.seed, self.name = seed, name

    def __getitem__(self, parameter: str) -> torch.Generator:
        return torch.Generator().manual_seed(key(self.seed, f"weights {self.name}.{parameter}"))


def _initialize_part(part: nn.Module, deviation: float, generators: _Generators) -> None:
    match part:
        case nn.Embedding():
            _truncated_normal(part.weight, SMALL_DEVIATION, generators["weight"])
        case nn.Linear():
            _truncated_normal(part.weight, deviation, generators["weight"])
            _zero(part.bias)
        case nn.Conv1d():
            inputs = part.in_channels // part.groups * part.kernel_size[0]
            _truncated_normal(part.weight, math.sqrt(1.0 / inputs), generators["weight"])
            _zero(part.bias)
        case nn.LSTM() | nn.GRU():
            _initialize_recurrent(part, generators)
        case nn.LayerNorm() | nn.RMSNorm():
            nn.init.ones_(part.weight)
            _zero(getattr(part, "bias", None))
        case TiedDecoder():
            _zero(part.bias)
        case RelativeBuckets():
            _zero(part.table)
        case _:
            raise TypeError(f"initialization.py has no row for {type(part).__name__}; add one to its table")


def _initialize_recurrent(part: nn.LSTM | nn.GRU, generators: _Generators) -> None:
    for name, parameter in part.named_parameters():
        gates = parameter.chunk(4 if isinstance(part, nn.LSTM) else 3)
        generator = generators[name]
        for number, gate in enumerate(gates):
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(gate, generator=generator)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(gate, generator=generator)
            else:
                # torch keeps two biases that are added; the forget gate's sum must be 1, so one of them
                # stays 0.
                opens = isinstance(part, nn.LSTM) and number == 1 and name.startswith("bias_ih")
                nn.init.constant_(gate, 1.0 if opens else 0.0)


def _truncated_normal(weight: Tensor, deviation: float, generator: torch.Generator) -> None:
    # Drawn on the CPU and copied, so that a seed means the same weights on every device.
    drawn = torch.empty(weight.shape)
    nn.init.trunc_normal_(drawn, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator)
    weight.copy_(drawn)


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)
