"""All first weights in one place. Shape letters: C width, N depth.

| parameter | distribution |
|---|---|
| token and position tables | truncated normal, σ = 0.02; a token's company, where it was counted |
| output matrices of their own | the table of tokens (``Model.begin_outputs_as_tables``) |
| linear maps | truncated normal, σ = √(2 / 5·inputs) |
| classifiers | truncated normal, σ = 0.02: a new head begins by guessing |
| linear maps that write into the stream (``out``, ``outer``) | the same divided by √(updates in the model) |
| queries where scores are not divided by √D (T5) | divided by √D themselves: the first scores are the usual ones |
| convolutions | truncated normal, σ = √(1 / inputs·kernel); in front of a ReLU (pictures) √(2 / inputs·kernel) |
| LSTM and GRU, gate by gate | input maps Xavier uniform, recurrent maps orthogonal |
| an LSTM's forget gate | bias 1: open |
| the factor of cosines | 1 / 0.07 |
| norms | 1; every bias 0 |
| T5's relative biases | 0, and 6 at one distance in half of the heads: they read a neighbour |
| what a normed token vector tells rotary queries and keys through feature 0 | half of the heads read a neighbour |
| queries and keys of a quarter of the heads, over slow rotary pairs | one map: they read their token elsewhere |

σ = √(2 / 5·inputs) is 0.02 at width 1,024, where BERT and GPT-2 put theirs, and grows as the width shrinks
(Nguyen and Salazar 2019, section 3.2, arXiv:1910.05895). Division by √updates keeps the variance of the
stream from growing with depth (Radford et al. 2019, section 2.3). Truncation at two σ is BERT's. Small tied
tables make the first loss ln(vocabulary). Orthogonal maps: Saxe et al. 2014, arXiv:1312.6120; open forget
gate: Jozefowicz et al. 2015. The last three rows are ours (docs/decisions/0006, 0027).
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from headwater.nn.attention import MultiHeadAttention
from headwater.nn.embedding import TokenEmbedding
from headwater.nn.heads import TiedDecoder
from headwater.nn.positions import RelativeBuckets, Rotary
from headwater.nn.scale import BEGINNING, LearnedScale
from headwater.randomness import key

SMALL_DEVIATION = 0.02
COUNTED_SCALE = 3.5
"""How much longer than random ones token vectors begin that were counted: about as long as trained ones are.

Shorter ones are lost: Adam's steps do not shrink with the vectors, and what is learnt first, what stands beside
what, would be written over what was counted.
"""
COUNTED_WIDTH = 256
"""Of wider tables they begin shorter, so that the product of a state with a vector does not grow with the width: else a
fresh model of 768 numbers is sure of tokens that it knows nothing of, and loses 37 nats on each."""
RANDOM_SHARE = 0.1
"""What is left of a token's random start beside its counted vector."""
CONSTANT = 8 * SMALL_DEVIATION
"""What feature 0 of every token vector begins as, where half of the heads begin by reading a neighbour."""
NEIGHBOUR_NATS = 6.0
"""How far the score of the neighbour stands above that of a distant token in such a head."""
SLOWEST_TURN = 0.15
"""Radians a position below which a rotary pair is too slow to tell neighbours apart."""
LIKENESS_NATS = 8.0
"""How far the score of the same token elsewhere stands above that of another one in a head that looks for it."""
FASTEST_REST = 0.02
"""Radians a position below which a rotary pair hardly turns between the ends of a text: there tokens are compared."""
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
    attentions = [part for _, part in parts if isinstance(part, MultiHeadAttention)]
    tables = [
        part
        for _, part in parts
        if isinstance(part, TokenEmbedding)
        and not isinstance(part.norm, nn.Identity)
        and isinstance(part.projection, nn.Identity)  # behind a map, feature 0 is not the stream's feature 0
    ]
    turned = [(part, part.rotary) for part in attentions if part.rotary is not None]
    if tables and turned:
        _begin_with_neighbours(tables[0].tokens.weight, turned)
        _begin_with_likes(tables[0].tokens.weight, turned)
    for attention in attentions:
        _begin_with_usual_scores(attention)


@torch.no_grad()
def begin_with_company(table: Tensor, vectors: Tensor) -> None:
    """Turn the vectors of a fresh table (V, C) towards ``vectors`` (V, C − 1): like tokens begin alike.

    The rows of ``vectors`` have a mean square of 1 together, and fill the features behind the first, which carries
    a constant; a row of zeros leaves its token as it was drawn. See ``headwater.data.token_vectors``.
    """
    scale = COUNTED_SCALE * min(1.0, COUNTED_WIDTH / table.shape[1])
    table *= scale
    known = vectors.abs().amax(dim=1) > 0
    counted = scale * SMALL_DEVIATION * vectors[known]
    table[known, 1:] = counted + RANDOM_SHARE * table[known, 1:]


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
        case nn.Conv2d():
            inputs = part.in_channels * part.kernel_size[0] * part.kernel_size[1]
            _truncated_normal(part.weight, math.sqrt(2.0 / inputs), generators["weight"])
            _zero(part.bias)
        case nn.LSTM() | nn.GRU():
            _initialize_recurrent(part, generators)
        case nn.LayerNorm() | nn.RMSNorm() | nn.GroupNorm():
            nn.init.ones_(part.weight)
            _zero(getattr(part, "bias", None))
        case TiedDecoder():
            _zero(part.bias)
        case RelativeBuckets():
            _zero(part.table)
            for head, offset in enumerate(_neighbours(part.table.shape[1], ahead=part.both_sides)):
                part.table[part.bucket(torch.tensor(offset)), head] = NEIGHBOUR_NATS
        case LearnedScale():
            part.logarithm.fill_(math.log(BEGINNING))
        case _:
            raise TypeError(f"initialization.py has no row for {type(part).__name__}; add one to its table")


def _begin_with_neighbours(table: Tensor, attentions: list[tuple[MultiHeadAttention, Rotary]]) -> None:
    """Let the first half of the heads of every block begin by reading the token before, the token after, and so on.

    A query and a key that are the same for all tokens, a·(cos o·f, sin o·f) and a·(1, 0) over the rotary
    frequencies f, score Σ_i a² cos((d − o) f_i) at distance d: most at d = o. Learning such a head from nothing is
    slow: what makes the query constant has a gradient only where the key is constant already, and the reverse.
    Tied tables are no worse for the constant: it adds the same number to every word's score.
    """
    table[:, 0] = CONSTANT
    seen = _constant_behind_norm(table)
    for attention, rotary in attentions:
        queries, keys = _queries_and_keys(attention)
        for head, offset in enumerate(_neighbours(attention.num_heads, ahead=not attention.mask.causal)):
            query, read = _reading(offset, rotary)
            queries[head, :, 0] = query / seen
            keys[head * len(keys) // len(queries), :, 0] = read / seen


def _begin_with_likes(table: Tensor, attentions: list[tuple[MultiHeadAttention, Rotary]]) -> None:
    """Let the last quarter of the heads of every block begin by reading their own token where it stands elsewhere.

    Over the rotary pairs that hardly turn, queries and keys begin as one map a·P with rows of length 1: the score
    a² xᵀPᵀP x′ is largest for two tokens that are the same or alike, wherever they stand. Over the pairs that
    turn fast, a constant query and key score least at distance 0, so that a token does not find itself. Comparing two
    texts, or a question and what may answer it, is slow to learn from nothing: a head pays only once it compares both
    sides by the same features.
    """
    seen = _constant_behind_norm(table)
    rest = 1 - seen**2 / table.shape[1]  # what the constant leaves of a token's energy
    for attention, rotary in attentions:
        resting = torch.nonzero(rotary.frequencies < FASTEST_REST)[:, 0]
        if not len(resting):
            continue
        rows = torch.cat((resting, resting + rotary.head_dim // 2))
        amplitude = math.sqrt(LIKENESS_NATS * math.sqrt(rotary.head_dim) / (rest * len(rows)))
        hiding, read = _reading(0, rotary)
        queries, keys = _queries_and_keys(attention)
        for head in range(len(queries) - len(queries) // 4, len(queries)):
            query, shared = queries[head], keys[head * len(keys) // len(queries)]
            compared = shared[rows].clone()  # heads that share a key share its map
            compared[:, 0] = 0
            compared *= amplitude / compared.norm(dim=1, keepdim=True)
            query[:], shared[:] = 0, 0
            query[rows], shared[rows] = compared, compared
            query[:, 0] = -LIKENESS_NATS / NEIGHBOUR_NATS * hiding / seen
            shared[:, 0] = read / seen


def _constant_behind_norm(table: Tensor) -> float:
    return CONSTANT / float(table.square().mean(1).sqrt().mean())


def _queries_and_keys(attention: MultiHeadAttention) -> tuple[Tensor, Tensor]:
    """The maps of every head as views: (H, D, C) and (K, D, C)."""
    queries, keys, _ = attention.qkv.weight.split(attention.split)
    return queries.unflatten(0, (-1, attention.head_dim)), keys.unflatten(0, (-1, attention.head_dim))


def _begin_with_usual_scores(attention: MultiHeadAttention) -> None:
    """Draw queries so much shorter as the scores are multiplied by more than 1/√D."""
    if attention.scale is not None:
        queries = attention.qkv.weight[: attention.split[0]]
        queries /= attention.scale * math.sqrt(attention.head_dim)


def _neighbours(num_heads: int, *, ahead: bool) -> list[int]:
    """−1, 1, −2, 2 … for half of the heads; −1, −2, −3 … where no token reads ``ahead``."""
    count = (num_heads + 1) // 2
    if not ahead:
        return [-distance for distance in range(1, count + 1)]
    return [(number // 2 + 1) * (1 if number % 2 else -1) for number in range(count)]


def _reading(offset: int, rotary: Rotary) -> tuple[Tensor, Tensor]:
    """The constant query and key (D,) whose score is NEIGHBOUR_NATS at that offset, and near 0 far from it."""
    turns = rotary.frequencies
    chosen = turns > SLOWEST_TURN
    amplitude = chosen * (NEIGHBOUR_NATS * math.sqrt(rotary.head_dim) / chosen.sum()).sqrt()
    query = torch.cat((amplitude * (offset * turns).cos(), amplitude * (offset * turns).sin()))
    return query, torch.cat((amplitude, torch.zeros_like(amplitude)))


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
