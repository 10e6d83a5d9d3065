"""A model that writes, in the format of CTranslate2 (https://opennmt.net/CTranslate2): an engine in C++ for CPUs.

Nothing is computed here: every matrix of ours has a place there. What has none (windows, patches, cells of an LSTM) is
refused by name. CTranslate2 keeps queries, keys and values in one matrix as we do, turns the halves of a head as we do
(``rotary_interleave`` False), and knows one epsilon for all norms of a model.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError, UsageError
from headwater.interchange.ctranslate2_library import ctranslate2_library
from headwater.models.generation import require_writer
from headwater.models.model import Model
from headwater.models.settings import TransformerSettings
from headwater.models.transformer import TransformerBackbone, TransformerEncoderDecoder
from headwater.nn.attention import MultiHeadAttention
from headwater.nn.block import Block
from headwater.nn.embedding import TokenEmbedding
from headwater.nn.feed_forward import GATED
from headwater.nn.heads import Scaled, TokenHead
from headwater.nn.positions import LearnedPositions, RelativeBuckets
from headwater.sequence import SequenceLayout

ACTIVATIONS = {
    "relu": "RELU",
    "gelu": "GELU",
    "swiglu": "SWISH",
    "geglu": "GELU",
    "gelu_tanh": "GELUTanh",
    "geglu_tanh": "GELUTanh",
}
FURTHEST = 8_192
"""Positions that a table of waves is written out for."""


def save_ctranslate2(folder: Path, model: Model, tokenizer: Tokenizer) -> None:
    """Write the model into a new ``folder`` as CTranslate2 reads it, in single precision.

    The engine rounds matrices to int8 when it loads them, if it is asked to. Raises SettingsError for a model with a
    part that it does not have, UsageError for one that does not write.
    """
    specs = ctranslate2_library(".specs.transformer_spec")
    require_writer(model)
    backbone = model.backbone
    if isinstance(backbone, TransformerEncoderDecoder):
        _refuse_unknown(backbone.settings.encoder)
        _refuse_unknown(backbone.settings.decoder)
        spec = specs.TransformerSpec(_encoder(backbone, specs), _decoder(model, backbone, specs))
        spec.config.decoder_start_token = tokenizer.names[tokenizer.cls]
        spec.config.add_source_bos = spec.config.add_source_eos = False
        for register in (spec.register_source_vocabulary, spec.register_target_vocabulary):
            register(_words(model, tokenizer))
        settings = backbone.settings.decoder
    elif isinstance(backbone, TransformerBackbone) and backbone.reads == "past":
        settings = backbone.settings
        _refuse_unknown(settings)
        if settings.positions == "relative":  # its beams lose count of the distances to a prompt
            raise _no_place("relative positions in a decoder alone")
        spec = specs.TransformerDecoderModelSpec(_decoder(model, backbone, specs))
        spec.register_vocabulary(_words(model, tokenizer))
    else:
        raise UsageError(
            "CTranslate2 writes with Transformers that read the past, with or without an encoder; this model is none: "
            "leave --engine out"
        )
    spec.config.bos_token = tokenizer.names[tokenizer.cls]
    spec.config.eos_token = tokenizer.names[tokenizer.sep]
    spec.config.unk_token = tokenizer.names[tokenizer.pad]  # a byte-level vocabulary knows everything
    spec.config.layer_norm_epsilon = settings.norm_epsilon
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True)
    spec.save(str(folder))


def furthest_position(model: Model) -> int | None:
    """Tokens of the longest row that the engine can read; None where no table of positions ends."""
    backbone = model.backbone
    assert isinstance(backbone, TransformerBackbone | TransformerEncoderDecoder)
    settings = (
        backbone.settings.decoder if isinstance(backbone, TransformerEncoderDecoder) else backbone.settings
    )
    if settings.positions in ("rotary", "relative", "alibi"):
        return None
    return backbone.longest_row or FURTHEST


def _words(model: Model, tokenizer: Tokenizer) -> list[str]:
    """The names of all tokens; a table may have more rows than there are words."""
    spare = range(tokenizer.size, model.backbone.vocabulary_size)
    return [*tokenizer.names, *(f"<unused {number}>" for number in spare)]


def _refuse_unknown(settings: TransformerSettings) -> None:
    """Raise SettingsError for what CTranslate2 cannot say."""
    after = settings.norm_position == "after"
    strange = {
        "patches": settings.patches is not None,
        "windows": any(window is not None for window in settings.windows),
        f"attention={settings.attention!r}": settings.attention != "softmax",
        f"embedding_width={settings.embedding_width}": settings.table_width != settings.width,
        "first_attention_norm=False": not settings.first_attention_norm,
        "final_norm=True with norm_position='after'": after and settings.final_norm,
        "alibi in an encoder": settings.positions == "alibi" and not settings.causal,
    }
    if found := [name for name, there in strange.items() if there]:
        raise _no_place(found[0])


def _no_place(part: str) -> SettingsError:
    return SettingsError(
        f"CTranslate2 has no place for what this model has: {part}; leave --engine out, and torch writes with it"
    )


def _encoder(backbone: TransformerEncoderDecoder, specs: Any) -> Any:
    settings = backbone.settings.encoder
    spec = specs.TransformerEncoderSpec(settings.depth, settings.num_heads, **_shared(settings))
    assert isinstance(backbone.embedding, TokenEmbedding)
    _fill_embedding(spec, spec.embeddings[0], backbone.embedding, backbone.token_embedding, settings)
    _fill_blocks(spec, backbone.blocks, backbone.final_norm)
    return spec


def _decoder(model: Model, backbone: TransformerBackbone | TransformerEncoderDecoder, specs: Any) -> Any:
    pair = isinstance(backbone, TransformerEncoderDecoder)
    settings = backbone.settings.decoder if pair else backbone.settings
    embedding = backbone.decoder_embedding if pair else backbone.embedding
    assert isinstance(embedding, TokenEmbedding)
    spec = specs.TransformerDecoderSpec(
        settings.depth,
        settings.num_heads,
        with_encoder_attention=pair,
        alibi=settings.positions == "alibi",
        **_shared(settings),
    )
    _fill_embedding(spec, spec.embeddings, embedding, backbone.token_embedding, settings)
    _fill_blocks(
        spec,
        backbone.decoder_blocks if pair else backbone.blocks,
        backbone.decoder_norm if pair else backbone.final_norm,
    )
    head = cast(TokenHead, model.heads["next_token"])
    spec.projection.weight = _numbers(head.decoder.weight)
    if head.decoder.bias is not None:
        spec.projection.bias = _numbers(head.decoder.bias)
    if isinstance(head.transform, Scaled):
        spec.scale_outputs = head.transform.factor
    return spec


def _shared(settings: TransformerSettings) -> dict[str, Any]:
    """What the two stacks of CTranslate2 are told alike."""
    activation = ctranslate2_library(".specs").common_spec.Activation
    rotary = settings.positions == "rotary"
    return {
        "pre_norm": settings.norm_position == "before",
        "no_final_norm": not settings.final_norm,
        "activation": getattr(activation, ACTIVATIONS[settings.feed_forward]),
        "ffn_glu": settings.feed_forward in GATED,
        "rms_norm": settings.norm == "rms",
        "layernorm_embedding": settings.embedding_norm,
        "relative_attention_bias": settings.positions == "relative",
        "rotary_dim": settings.head_width if rotary else None,
        "rotary_interleave": False,
        "rotary_base": settings.rotary_theta,
        "num_heads_kv": None if settings.key_value_heads == settings.num_heads else settings.key_value_heads,
        "head_dim": settings.head_width,
    }


def _fill_embedding(
    spec: Any, table: Any, embedding: TokenEmbedding[Any], tokens: nn.Embedding, settings: TransformerSettings
) -> None:
    table.weight = _numbers(tokens.weight)
    spec.scale_embeddings = embedding.scale if embedding.scale != 1.0 else False
    if hasattr(spec, "position_encodings"):
        spec.position_encodings.encodings = _position_table(embedding, settings)
    if settings.embedding_norm:
        _fill_norm(spec.layernorm_embedding, embedding.norm)


def _position_table(embedding: TokenEmbedding[Any], settings: TransformerSettings) -> NDArray[np.float32]:
    positions = embedding.positions
    if positions is None:
        return np.zeros((FURTHEST, settings.width), np.float32)
    count = positions.capacity if isinstance(positions, LearnedPositions) else FURTHEST
    return _numbers(positions(SequenceLayout.dense(1, count))[0])


def _fill_blocks(spec: Any, blocks: nn.ModuleList, final_norm: nn.Module) -> None:
    if hasattr(spec, "layer_norm"):
        _fill_norm(spec.layer_norm, final_norm)
    buckets = next(_buckets(blocks), None)
    for place, module in zip(spec.layer, blocks, strict=True):
        block = cast(Block, module)
        _fill_norm(place.self_attention.layer_norm, block.attention_norm)
        _fill_attention(place.self_attention, block.attention, parts=1)
        if buckets is not None:
            place.self_attention.relative_attention_bias = _numbers(buckets.table)
            place.self_attention.relative_attention_max_distance = np.int32(buckets.max_distance)
        if block.cross_attention is not None and block.cross_attention_norm is not None:
            _fill_norm(place.attention.layer_norm, block.cross_attention_norm)
            _fill_attention(place.attention, block.cross_attention, parts=2)
        _fill_norm(place.ffn.layer_norm, block.feed_forward_norm)
        _fill_feed_forward(place.ffn, block.feed_forward)


def _buckets(blocks: nn.ModuleList) -> Iterator[RelativeBuckets]:
    return (module for module in blocks.modules() if isinstance(module, RelativeBuckets))


def _fill_attention(place: Any, attention: MultiHeadAttention, *, parts: int) -> None:
    """``parts`` 1: queries, keys and values in one matrix; 2: queries in one, keys and values in another."""
    rows = [sum(attention.split)] if parts == 1 else [attention.split[0], sum(attention.split[1:])]
    for linear, weight in zip(place.linear, attention.qkv.weight.split(rows), strict=False):
        linear.weight = _numbers(weight)
    if (bias := _bias(attention.qkv)) is not None:
        for linear, part in zip(place.linear, bias.split(rows), strict=False):
            linear.bias = _numbers(part)
    _fill_linear(place.linear[-1], attention.out)
    if attention.scale is not None:
        place.queries_scale = attention.scale


def _fill_feed_forward(place: Any, feed_forward: nn.Module) -> None:
    inner, outer = cast(nn.Linear, feed_forward.inner), cast(nn.Linear, feed_forward.outer)
    _fill_linear(place.linear_1, outer)
    if not hasattr(place, "linear_0_noact"):
        _fill_linear(place.linear_0, inner)
        return
    # The activated half stands first in ours.
    for linear, weight in zip((place.linear_0, place.linear_0_noact), inner.weight.chunk(2), strict=True):
        linear.weight = _numbers(weight)
    if (bias := _bias(inner)) is not None:
        for linear, part in zip((place.linear_0, place.linear_0_noact), bias.chunk(2), strict=True):
            linear.bias = _numbers(part)


def _fill_linear(place: Any, linear: nn.Linear) -> None:
    place.weight = _numbers(linear.weight)
    if (bias := _bias(linear)) is not None:
        place.bias = _numbers(bias)


def _fill_norm(place: Any, norm: nn.Module) -> None:
    gain = cast(Tensor, norm.weight)
    place.gamma = _numbers(gain)
    if hasattr(place, "beta"):
        shift = getattr(norm, "bias", None)
        place.beta = _numbers(torch.zeros_like(gain) if shift is None else shift)


def _bias(linear: nn.Linear) -> Tensor | None:
    return cast("Tensor | None", linear.bias)


def _numbers(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().contiguous().cpu().numpy()
