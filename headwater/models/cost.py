"""What a model costs before it is bought: parameters, floating-point operations, memory for activations.

Only *necessary* operations count: two for each weight a token passes, two products for each pair of a query
and a key it may read (a causal row has half of them, a window its own), the output layer only where a loss
is taken. Shape letters: C width, H heads, K key-value heads, D head width, F feed-forward width, V
vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import nn

from headwater.models.backbone import Backbone
from headwater.models.building import build_backbone
from headwater.models.residual import MOST_HALVINGS, Convolution
from headwater.models.settings import (
    BackboneSettings,
    ConvolutionalSettings,
    EncoderDecoderSettings,
    PatchSettings,
    RecurrentSettings,
    ResidualSettings,
    TransformerSettings,
)
from headwater.models.tower_settings import TwoTowerSettings
from headwater.nn.attention.linear import CHUNK

MATRIX_LAYERS = (nn.Linear, nn.Conv1d, nn.LSTM, nn.GRU)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one row of ``length`` tokens, of which ``loss_positions`` reach the output layer."""

    parameters: int
    embedding_parameters: int
    length: int
    loss_positions: float
    forward_flops: float
    activation_bytes: float

    @property
    def body_parameters(self) -> int:
        """Parameters besides the tables of tokens and positions."""
        return self.parameters - self.embedding_parameters

    @property
    def training_flops(self) -> float:
        """Forward, gradient of the inputs, gradient of the weights: three times the forward pass."""
        return 3.0 * self.forward_flops

    @property
    def forward_flops_per_token(self) -> float:
        """Forward operations of one token of the row."""
        return self.forward_flops / self.length

    @property
    def training_flops_per_token(self) -> float:
        """Training operations of one token of the row."""
        return self.training_flops / self.length


def cost_of(
    backbone: BackboneSettings | Backbone, *, length: int, loss_share: float = 0.0, value_bytes: int = 4
) -> Cost:
    """The cost of one row of ``length`` tokens; of two towers, of a pair of rows of that length.

    ``loss_share`` is the share of tokens whose words are predicted (0.3 of masked tokens, 1 for next tokens,
    0 when there is a classifier instead); ``value_bytes`` the bytes of one activation (4 in fp32, 2 in
    bf16).
    """
    built = backbone if isinstance(backbone, Backbone) else _on_paper(backbone)
    settings = backbone if isinstance(backbone, BackboneSettings) else _settings_of(backbone)
    loss_positions = loss_share * length
    matrices = 2.0 * length * _matrix_weights(built) + _convolution_flops(built)
    output = 2.0 * loss_positions * built.token_embedding.weight.numel() if loss_positions else 0.0
    held = (length * _held_per_token(settings) + _held_scores(settings, length)) * value_bytes
    # The loss keeps the logits and their log-softmax, both in single precision.
    held += loss_positions * settings.vocabulary_size * 8
    return Cost(
        parameters=sum(parameter.numel() for parameter in built.parameters()),
        embedding_parameters=_table_weights(built),
        length=length,
        loss_positions=loss_positions,
        forward_flops=matrices + _attention_flops(settings, length) + output,
        activation_bytes=held,
    )


def body_parameters(settings: BackboneSettings) -> int:
    """Parameters of a backbone besides its embeddings; nothing is allocated."""
    built = _on_paper(settings)
    return sum(parameter.numel() for parameter in built.parameters()) - _table_weights(built)


def readable_pairs(length: int, *, causal: bool, window: int | None) -> int:
    """How many (query, key) pairs a row of ``length`` tokens has under a mask."""
    reach = length if window is None else min(window, length)  # positions back, its own included
    past = reach * (reach + 1) // 2 + (length - reach) * reach
    return past if causal else 2 * past - length


def _on_paper(settings: BackboneSettings) -> Backbone:
    with torch.device("meta"):
        return build_backbone(settings)


def _settings_of(backbone: Backbone) -> BackboneSettings:
    settings = getattr(backbone, "settings", None)
    if not isinstance(settings, BackboneSettings):
        raise TypeError(f"the cost of a {type(backbone).__name__} is not known: it has no settings")
    return settings


def _matrix_weights(module: nn.Module) -> int:
    layers = (part for part in module.modules() if isinstance(part, MATRIX_LAYERS))
    return sum(
        weight.numel() for layer in layers for weight in layer.parameters(recurse=False) if weight.dim() > 1
    )


def _convolution_flops(module: nn.Module) -> float:
    """Of a whole picture: each square of a stage passes the weights once."""
    layers = (part for part in module.modules() if isinstance(part, Convolution))
    return sum(2.0 * layer.places * layer.weight.numel() for layer in layers)


def _table_weights(module: nn.Module) -> int:
    return sum(part.weight.numel() for part in module.modules() if isinstance(part, nn.Embedding))


def _attention_flops(settings: BackboneSettings, length: int) -> float:
    if isinstance(settings, RecurrentSettings) and settings.attention == "additive":
        states = settings.hidden_width * (2 if settings.bidirectional else 1)
        pairs = readable_pairs(length, causal=not settings.bidirectional, window=None)
        # The score map was counted once a token among the matrices; here it acts once a pair.
        return 2.0 * pairs * (max(1, states // 4) + states)
    if isinstance(settings, EncoderDecoderSettings):  # a source of ``length`` tokens, a target of as many
        decoder = settings.decoder
        reads = (
            _sum_flops(decoder, length)
            if decoder.attention == "linear"
            else 4.0 * length * length * decoder.num_heads * decoder.head_width
        )
        halves = _attention_flops(settings.encoder, length) + _attention_flops(settings.decoder, length)
        return halves + settings.decoder.depth * reads
    if isinstance(settings, TwoTowerSettings):
        return sum(_attention_flops(side, length) for side in settings.sides)
    if not isinstance(settings, TransformerSettings):
        return 0.0
    if settings.attention == "linear":
        return settings.depth * _sum_flops(settings, length)
    pairs = sum(
        readable_pairs(length, causal=settings.causal, window=settings.window_of(number))
        for number in range(settings.depth)
    )
    return 4.0 * pairs * settings.num_heads * settings.head_width


def _sum_flops(settings: TransformerSettings, length: int) -> float:
    """Of one layer of linear attention: each key adds to a sum of D × (D + 1), each query reads it."""
    return 4.0 * length * settings.num_heads * settings.head_width * (settings.head_width + 1)


def _held_by_sums(settings: TransformerSettings) -> int:
    """Numbers that linear attention leaves behind for one token, beside what softmax does too."""
    H, D = settings.num_heads, settings.head_width
    # features of queries and keys, and what they are made of; values and ones; sums and their quotients
    own = H * (4 * D + 3 * (D + 1))
    # of a causal mask: the weights inside a chunk, and the sums before it
    return own + H * (2 * CHUNK + 2 * D * (D + 1) // CHUNK) if settings.causal else own


def _held_scores(settings: BackboneSettings, length: int) -> float:
    """Numbers left behind for pairs of tokens: no fused kernel of a CPU learns a bias, so weights are written out.

    Of each pair that is a weight a head, and the number of its bucket, eight bytes long.
    """
    if isinstance(settings, EncoderDecoderSettings):
        return _held_scores(settings.encoder, length) + _held_scores(settings.decoder, length)
    if isinstance(settings, TransformerSettings) and settings.positions == "relative":
        return settings.depth * (settings.num_heads + 2.0) * length**2
    return 0.0


def _held_per_token(settings: BackboneSettings) -> int:
    """Numbers one token leaves behind for the backward pass, without dropout and with fused attention.

    In bf16 on a CPU rows of at most 512 keys leave their weights too (docs/decisions/0018): in `tiny`, with 512, a
    sixth more.
    """
    C = settings.width
    match settings:
        case TransformerSettings():
            H, K, D, F = (
                settings.num_heads,
                settings.key_value_heads,
                settings.head_width,
                settings.feed_forward_width,
            )
            # the stream before each norm and each norm's output; queries, keys, values; what was read, as
            # attention leaves it and as the output map takes it; the feed-forward's halves.
            attention = 2 * C + (H + 2 * K) * D + 2 * H * D
            if settings.attention == "linear":
                attention += _held_by_sums(settings)
            hidden = {"relu": F, "gelu": 2 * F, "gelu_tanh": 2 * F}.get(settings.feed_forward, 4 * F)
            return settings.depth * (attention + 2 * C + hidden) + 2 * C
        case EncoderDecoderSettings():
            decoder = settings.decoder
            heads = 3 * decoder.num_heads + 2 * decoder.key_value_heads
            reads = decoder.depth * (2 * C + heads * decoder.head_width)  # as for its own tokens
            return _held_per_token(settings.encoder) + _held_per_token(settings.decoder) + reads
        case TwoTowerSettings():
            return sum(_held_per_token(side) for side in settings.sides)
        case RecurrentSettings():
            # Every step keeps each of its small products; counted from what autograd holds.
            kept = 19 if settings.cell == "lstm" else 8
            directions = 2 if settings.bidirectional else 1
            return settings.depth * directions * kept * settings.hidden_width + 3 * C
        case ConvolutionalSettings():
            return settings.depth * (2 * C + 3 * settings.hidden_width) + 2 * C
        case ResidualSettings(patches=PatchSettings() as patches):
            # Of a block: what enters, its two normed and rectified forms, what lies between; a stage has twice the
            # channels of the one before at a quarter of the places, so each holds half as much.
            halvings = next(n for n in range(MOST_HALVINGS, -1, -1) if patches.side % 2**n == 0)
            stages = sum(settings.hidden_width << (2 * halvings - stage) for stage in range(halvings + 1))
            return 7 * settings.depth * stages // patches.slices + 4 * C
        case _:
            raise TypeError(f"the activations of {type(settings).__name__} are not known")
