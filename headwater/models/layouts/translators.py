"""What Marian's, M2M-100's and BART's layouts share: the paper's block with every bias, in two stacks.

The traps: both tables and the output matrix are one tensor, written once as ``model.shared``; files of Marian and BART
hold an output bias as one row; those of Marian may hold the waves of its positions, which are computed here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings
from headwater.models.layouts.names import (
    Config,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    linear,
    must_be,
    needed,
    task_of,
)
from headwater.models.layouts.stacks import (
    WRITING,
    Stack,
    attention_names,
    one_table,
    refusal_of_pair,
    refusal_of_stacks,
    refusal_of_writing_head,
    stacks_of,
    tokens_config,
)
from headwater.models.settings import (
    BackboneSettings,
    EncoderDecoderSettings,
    Positions,
    TransformerSettings,
)
from headwater.nn.block import NormPosition

KNOWN = WRITING | frozenset(
    [
        "vocab_size",
        "d_model",
        "encoder_layers",
        "decoder_layers",
        "encoder_attention_heads",
        "decoder_attention_heads",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "encoder_layerdrop",
        "decoder_layerdrop",
        "activation_function",
        "dropout",
        "attention_dropout",
        "activation_dropout",
        "init_std",
        "scale_embedding",
        "max_position_embeddings",
        "is_decoder",
        "tie_word_embeddings",
        "num_hidden_layers",
    ]
)
PARTS = ("q_proj", "k_proj", "v_proj", "out_proj")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What sets one of these layouts apart from the others.

    ``activation`` and ``scaled`` hold where config.json does not say ``activation_function`` and
    ``scale_embedding``; ``only`` gives the words that it has beyond the shared ones, and their one value here.
    """

    model_type: str
    architectures: Mapping[str, str]
    norm_position: NormPosition
    positions: Positions
    embedding_norm: bool = False
    output_bias: bool = False
    activation: str = "gelu"
    scaled: bool = False
    only: Mapping[str, object] = field(default_factory=dict[str, object])


def layout_of(dialect: Dialect, *, computed: frozenset[str] = frozenset()) -> Layout:
    """The layout of one dialect."""
    return Layout(
        model_type=dialect.model_type,
        architectures=dialect.architectures,
        refusal=partial(refusal, dialect),
        to_config=to_config,
        from_config=partial(from_config, dialect),
        head_of=partial(head_of, dialect),
        names=partial(names, dialect),
        repeated=one_table("model."),
        computed=computed,
    )


def refusal(dialect: Dialect, settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why the dialect cannot say this, or None."""
    if not isinstance(settings, EncoderDecoderSettings):
        return "it is not an encoder-decoder"
    if settings.looks:
        return "its source is no text"
    fixed = {
        "norm": "layer",
        "norm_position": dialect.norm_position,
        "norm_epsilon": 1e-5,
        "linear_bias": True,
        "positions": dialect.positions,
        "embedding_norm": dialect.embedding_norm,
        "final_norm": dialect.norm_position == "before",
        "head_dim": None,
        "attention_scale": None,
    }
    reason = refusal_of_stacks(settings, fixed) or refusal_of_pair(settings, "feed_forward")
    reason = reason or refusal_of_writing_head(head, dialect.architectures)
    if reason is not None:
        return reason
    encoder = settings.encoder
    if encoder.feed_forward not in ("relu", "gelu"):
        return f"feed_forward is {encoder.feed_forward!r}, not 'relu' or 'gelu'"
    if not _scaled(encoder) and encoder.embedding_scale != 1.0:
        return f"embedding_scale is {encoder.embedding_scale}, neither 1 nor the root of the width"
    if head is not None and not head.tied:
        return "its output matrix is a tensor of its own"
    if head is not None and head.scale != 1.0:
        return "its head scales the hidden states"
    return None


def to_config(
    settings: EncoderDecoderSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json, the same words in every dialect."""
    del head
    encoder, decoder = settings.encoder, settings.decoder
    return {
        "vocab_size": settings.vocabulary_size,
        "d_model": settings.width,
        "encoder_layers": encoder.depth,
        "decoder_layers": decoder.depth,
        "num_hidden_layers": encoder.depth,
        "encoder_attention_heads": encoder.num_heads,
        "decoder_attention_heads": decoder.num_heads,
        "encoder_ffn_dim": encoder.feed_forward_width,
        "decoder_ffn_dim": decoder.feed_forward_width,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "activation_function": encoder.feed_forward,
        "dropout": encoder.residual_dropout,
        "attention_dropout": encoder.attention_dropout,
        "activation_dropout": encoder.feed_forward_dropout,
        "scale_embedding": _scaled(encoder),
        "max_position_embeddings": encoder.max_length,
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
        **tokens_config(settings, special),
    }


def from_config(dialect: Dialect, config: Config) -> EncoderDecoderSettings:
    """The settings behind the words of a dialect; values that this program does not compute are refused."""
    check_keys(config, KNOWN | {"decoder_vocab_size"} | set(dialect.only))
    needed(config, "vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_ffn_dim")
    needed(config, "decoder_ffn_dim", "encoder_attention_heads", "decoder_attention_heads")
    for key, value in {"tie_word_embeddings": True, "is_decoder": False, **dialect.only}.items():
        must_be(config, key, value)
    must_be(config, "decoder_vocab_size", None, config["vocab_size"])
    activation = config.get("activation_function", dialect.activation)
    if activation not in ("relu", "gelu"):
        raise BadDataError(
            f"config.json says activation_function = {activation!r}; this program can load 'relu' or 'gelu'"
        )
    width = config["d_model"]
    dropout = config.get("dropout", 0.1)
    encoder = TransformerSettings(
        vocabulary_size=config["vocab_size"],
        width=width,
        depth=config["encoder_layers"],
        num_heads=config["encoder_attention_heads"],
        feed_forward_width=config["encoder_ffn_dim"],
        feed_forward=activation,
        norm="layer",
        norm_position=dialect.norm_position,
        final_norm=dialect.norm_position == "before",
        linear_bias=True,
        positions=dialect.positions,
        embedding_norm=dialect.embedding_norm,
        embedding_scale=math.sqrt(width) if config.get("scale_embedding", dialect.scaled) else 1.0,
        embedding_dropout=dropout,
        residual_dropout=dropout,
        attention_dropout=config.get("attention_dropout", 0.0),
        feed_forward_dropout=config.get("activation_dropout", 0.0),
        max_length=config.get("max_position_embeddings", 1024),
        pad_token=config.get("pad_token_id"),
    )
    decoder = replace(
        encoder,
        depth=config["decoder_layers"],
        num_heads=config["decoder_attention_heads"],
        feed_forward_width=config["decoder_ffn_dim"],
        causal=True,
    )
    return EncoderDecoderSettings.of(encoder, decoder)


def head_of(dialect: Dialect, config: Config) -> HeadSettings | None:
    """The head that the config names."""
    task = task_of(config, dialect.architectures)
    return HeadSettings(name=task) if task else None


def names(dialect: Dialect, settings: EncoderDecoderSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and those of the dialect."""
    result = linear("backbone.embedding.tokens", "model.shared", bias=False)
    for stack in stacks_of(settings):
        result += _stack_names(stack)
    if head is not None and dialect.output_bias:
        row = (1, settings.vocabulary_size)
        result.append(Rename("heads.next_token.decoder.bias", ("final_logits_bias",), shape=row))
    return result


def _stack_names(stack: Stack) -> list[Rename]:
    settings, theirs = stack.settings, f"model.{stack.published}"
    ours = f"backbone.{stack.embedding}"
    result: list[Rename] = []
    if settings.longest_row is not None:
        result += linear(f"{ours}.positions.table", f"{theirs}.embed_positions", bias=False)
    if settings.embedding_norm:
        result += linear(f"{ours}.norm", f"{theirs}.layernorm_embedding", bias=True)
    for number in range(settings.depth):
        result += _block_names(f"backbone.{stack.blocks}.{number}", f"{theirs}.layers.{number}", settings)
    if settings.final_norm:
        result += linear(f"backbone.{stack.norm}", f"{theirs}.layer_norm", bias=True)
    return result


def _block_names(ours: str, theirs: str, settings: TransformerSettings) -> list[Rename]:
    attentions = {"attention": "self_attn"} | ({"cross_attention": "encoder_attn"} if settings.causal else {})
    result: list[Rename] = []
    for mine, published in attentions.items():
        result += attention_names(f"{ours}.{mine}", f"{theirs}.{published}", PARTS, settings)
        result += linear(f"{ours}.{mine}_norm", f"{theirs}.{published}_layer_norm", bias=True)
    result += linear(f"{ours}.feed_forward.inner", f"{theirs}.fc1", bias=True)
    result += linear(f"{ours}.feed_forward.outer", f"{theirs}.fc2", bias=True)
    return result + linear(f"{ours}.feed_forward_norm", f"{theirs}.final_layer_norm", bias=True)


def _scaled(half: TransformerSettings) -> bool:
    return math.isclose(half.embedding_scale, math.sqrt(half.width))
