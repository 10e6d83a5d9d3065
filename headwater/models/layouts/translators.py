"""What Marian's and M2M-100's layouts share: two stacks over one table, the paper's block with every bias.

The traps: both tables and the output matrix are one tensor, written once as ``model.shared``; Marian's files hold
an output bias as one row, and may hold the waves of its positions, which are computed here.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings
from headwater.models.layouts.names import (
    Config,
    Rename,
    SpecialTokens,
    fused,
    linear,
    must_be,
    needed,
)
from headwater.models.settings import (
    BackboneSettings,
    EncoderDecoderSettings,
    Positions,
    TransformerSettings,
)
from headwater.nn.block import NormPosition

KNOWN = frozenset(
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
        "decoder_start_token_id",
        "is_decoder",
        "tie_word_embeddings",
        "num_hidden_layers",
        "forced_eos_token_id",
        "forced_bos_token_id",
        "bad_words_ids",
        "num_beams",
        "max_length",
        "early_stopping",
    ]
)


def refusal(
    settings: BackboneSettings,
    head: HeadSettings | None,
    *,
    norm_position: NormPosition,
    positions: Positions,
) -> str | None:
    """Why a layout with the norm there and these positions cannot say this, or None."""
    if not isinstance(settings, EncoderDecoderSettings):
        return "it is not an encoder-decoder"
    fixed = {
        "norm": "layer",
        "norm_position": norm_position,
        "norm_epsilon": 1e-5,
        "linear_bias": True,
        "positions": positions,
        "embedding_norm": False,
        "embedding_width": None,
        "first_attention_norm": True,
        "final_norm": norm_position == "before",
        "num_key_value_heads": None,
        "head_dim": None,
        "windows": (),
        "stochastic_depth": 0.0,
    }
    for half in (settings.encoder, settings.decoder):
        for name, value in fixed.items():
            if getattr(half, name) != value:
                return f"{name} is {getattr(half, name)!r}, not {value!r}"
        if half.feed_forward not in ("relu", "gelu"):
            return f"feed_forward is {half.feed_forward!r}, not 'relu' or 'gelu'"
        if not _scaled(half) and half.embedding_scale != 1.0:
            return f"embedding_scale is {half.embedding_scale}, neither 1 nor the root of the width"
    if settings.encoder.feed_forward != settings.decoder.feed_forward:
        return "the feed-forwards of encoder and decoder are of two kinds"
    if head is not None and head.name != "next_token":
        return f"there is no {head.name} head in it"
    if head is not None and not head.tied:
        return "its output matrix is a tensor of its own"
    return None


def to_config(
    settings: EncoderDecoderSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json; a text begins with [CLS] and ends with [SEP]."""
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
        "decoder_start_token_id": special.cls,
        "forced_eos_token_id": None,
        "pad_token_id": settings.pad_token,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
    }


def from_config(
    config: Config, *, norm_position: NormPosition, positions: Positions
) -> EncoderDecoderSettings:
    """The settings behind the shared keys; values that this program does not compute are refused."""
    needed(config, "vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_ffn_dim")
    needed(config, "decoder_ffn_dim", "encoder_attention_heads", "decoder_attention_heads")
    must_be(config, "tie_word_embeddings", True)
    must_be(config, "is_decoder", False)
    activation = config.get("activation_function", "relu")
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
        norm_position=norm_position,
        final_norm=norm_position == "before",
        linear_bias=True,
        positions=positions,
        embedding_scale=math.sqrt(width) if config.get("scale_embedding", True) else 1.0,
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


def names(settings: EncoderDecoderSettings) -> list[Rename]:
    """The tensors of both stacks, without the heads."""
    result = linear("backbone.embedding.tokens", "model.shared", bias=False)
    for stack, blocks, half in (
        ("encoder", "blocks", settings.encoder),
        ("decoder", "decoder_blocks", settings.decoder),
    ):
        for number in range(half.depth):
            result += _block(f"backbone.{blocks}.{number}", f"model.{stack}.layers.{number}", half)
        if half.final_norm:
            final = "final_norm" if stack == "encoder" else "decoder_norm"
            result += linear(f"backbone.{final}", f"model.{stack}.layer_norm", bias=True)
    return result


def _block(ours: str, theirs: str, half: TransformerSettings) -> list[Rename]:
    rows = (half.width,) * 3
    attentions = {"attention": "self_attn"} | ({"cross_attention": "encoder_attn"} if half.causal else {})
    result: list[Rename] = []
    for mine, published in attentions.items():
        heads = [f"{theirs}.{published}.{part}_proj" for part in ("q", "k", "v")]
        result += fused(f"{ours}.{mine}.qkv", heads, rows, bias=True)
        result += linear(f"{ours}.{mine}.out", f"{theirs}.{published}.out_proj", bias=True)
        result += linear(f"{ours}.{mine}_norm", f"{theirs}.{published}_layer_norm", bias=True)
    result += linear(f"{ours}.feed_forward.inner", f"{theirs}.fc1", bias=True)
    result += linear(f"{ours}.feed_forward.outer", f"{theirs}.fc2", bias=True)
    return result + linear(f"{ours}.feed_forward_norm", f"{theirs}.final_layer_norm", bias=True)


def repeated(head: HeadSettings | None, found: Mapping[str, Any]) -> dict[str, str]:
    """Names under which a file may repeat the shared table."""
    del head
    again = ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
    return {name: "model.shared.weight" for name in again if name in found}


def _scaled(half: TransformerSettings) -> bool:
    return math.isclose(half.embedding_scale, math.sqrt(half.width))
