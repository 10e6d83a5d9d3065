"""Llama's layout: Touvron et al. 2023, arXiv:2302.13971, as transformers 4 and 5, vLLM and llama.cpp read it.

The words are shared with EuroBERT, which is the same block reading both sides. Our fused ``qkv`` and ``inner`` are
kept apart in the file: q, k, v; gate (the activated half), up.
"""

from typing import Any

from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings
from headwater.models.layouts.names import (
    Config,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    classes_of,
    default_rotation,
    fused,
    linear,
    must_be,
    needed,
    other_than,
    task_of,
    ties,
)
from headwater.models.settings import BackboneSettings, TransformerSettings

ARCHITECTURES = {
    "": "LlamaModel",
    "next_token": "LlamaForCausalLM",
    "classification": "LlamaForSequenceClassification",
    "regression": "LlamaForSequenceClassification",
    "question_answering": "LlamaForQuestionAnswering",
}
SEQUENCE_HEADS = ("classification", "regression")
REPEATED = ties({"lm_head.weight": "model.embed_tokens.weight"})
KNOWN = frozenset(
    [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "hidden_act",
        "max_position_embeddings",
        "rms_norm_eps",
        "rope_theta",
        "rope_scaling",
        "rope_parameters",
        "attention_bias",
        "mlp_bias",
        "attention_dropout",
        "tie_word_embeddings",
    ]
)


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why Llama's layout cannot say this, or None."""
    reason = refusal_of_block(settings, causal=True)
    if reason is None and head is not None:
        if head.name not in ARCHITECTURES:
            return f"there is no {head.name} head in it"
        if head.scale != 1.0:
            return "its head scales the hidden states"
        if head.name in SEQUENCE_HEADS and head.pooling not in ("default", "last"):
            return f"pooling is {head.pooling!r}, not 'last'"
    return reason


def refusal_of_block(settings: BackboneSettings, *, causal: bool) -> str | None:
    """Why the block of Llama and EuroBERT is not this one, or None."""
    if not isinstance(settings, TransformerSettings):
        return "it is not a Transformer"
    fixed = {
        "causal": causal,
        "positions": "rotary",
        "feed_forward": "swiglu",
        "norm": "rms",
        "norm_position": "before",
        "embedding_norm": False,
        "first_attention_norm": True,
        "final_norm": True,
        "attention_scale": None,
        "embedding_scale": 1.0,
        "table_width": settings.width,
        "layout": None,
    }
    if any(window is not None for window in settings.windows):
        return "it has windows"
    return other_than(settings, fixed)


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json; ``rope_theta`` stands twice, for transformers 4 and 5."""
    return block_config(settings, special) | {
        "tie_word_embeddings": head is not None and head.name == "next_token" and head.tied
    }


def block_config(settings: TransformerSettings, special: SpecialTokens) -> dict[str, Any]:
    """The keys that Llama and EuroBERT share."""
    return {
        "vocab_size": settings.vocabulary_size,
        "hidden_size": settings.width,
        "intermediate_size": settings.feed_forward_width,
        "num_hidden_layers": settings.depth,
        "num_attention_heads": settings.num_heads,
        "num_key_value_heads": settings.key_value_heads,
        "head_dim": settings.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": settings.max_length,
        "rms_norm_eps": settings.norm_epsilon,
        "rope_theta": settings.rotary_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": settings.rotary_theta},
        "attention_bias": settings.linear_bias,
        "mlp_bias": settings.linear_bias,
        "attention_dropout": settings.attention_dropout,
        "pad_token_id": settings.pad_token,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
    }


def from_config(config: Config) -> TransformerSettings:
    """The settings of a Llama config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    return block_settings(config, causal=True, epsilon=1e-6, max_length=2048)


def block_settings(config: Config, *, causal: bool, epsilon: float, max_length: int) -> TransformerSettings:
    """The settings behind the keys that Llama and EuroBERT share; ``epsilon`` and ``max_length`` are their defaults."""
    needed(
        config, "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"
    )
    must_be(config, "hidden_act", "silu")
    must_be(config, "rope_scaling", None)
    must_be(config, "attention_bias", True, False)
    if config.get("attention_bias", False) != config.get("mlp_bias", False):
        raise BadDataError(
            "config.json says attention_bias and mlp_bias differ; this program has both or neither"
        )
    return TransformerSettings(
        vocabulary_size=config["vocab_size"],
        width=config["hidden_size"],
        depth=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        num_key_value_heads=config.get("num_key_value_heads"),
        head_dim=config.get("head_dim"),
        feed_forward_width=config["intermediate_size"],
        feed_forward="swiglu",
        norm="rms",
        norm_epsilon=config.get("rms_norm_eps", epsilon),
        linear_bias=config.get("attention_bias", False),
        rotary_theta=default_rotation(config.get("rope_parameters"), config.get("rope_theta") or 10_000.0),
        causal=causal,
        attention_dropout=config.get("attention_dropout") or 0.0,
        max_length=config.get("max_position_embeddings", max_length),
        pad_token=config.get("pad_token_id"),
    )


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    task = task_of(config, ARCHITECTURES)
    if not task:
        return None
    if task == "next_token":
        return HeadSettings(name=task, tied=config.get("tie_word_embeddings", False))
    if task == "question_answering":
        return HeadSettings(name=task)
    return HeadSettings(name=task, classes=classes_of(config), pooling="last")


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and Llama's."""
    result = block_names(settings)
    if head is None or (head.name == "next_token" and head.tied):
        return result
    if head.name == "next_token":
        return result + linear("heads.next_token.decoder", "lm_head", bias=False)
    ours = f"heads.{head.name}.classifier"
    if head.name == "question_answering":  # the one class whose backbone has another name
        body = [rename.under("transformer.", instead_of="model.") for rename in result]
        return body + linear(ours, "qa_outputs", bias=True)
    return result + linear(ours, "score", bias=False)


def block_names(settings: TransformerSettings) -> list[Rename]:
    """The backbone's tensors, the same in Llama and EuroBERT."""
    bias, hidden = settings.linear_bias, settings.feed_forward_width
    query, key = settings.num_heads * settings.head_width, settings.key_value_heads * settings.head_width
    result = linear("backbone.embedding.tokens", "model.embed_tokens", bias=False)
    for number in range(settings.depth):
        ours, theirs = f"backbone.blocks.{number}", f"model.layers.{number}"
        heads = [f"{theirs}.self_attn.{part}_proj" for part in ("q", "k", "v")]
        halves = [f"{theirs}.mlp.{part}_proj" for part in ("gate", "up")]
        result += linear(f"{ours}.attention_norm", f"{theirs}.input_layernorm", bias=False)
        result += fused(f"{ours}.attention.qkv", heads, (query, key, key), bias=bias)
        result += linear(f"{ours}.attention.out", f"{theirs}.self_attn.o_proj", bias=bias)
        result += linear(f"{ours}.feed_forward_norm", f"{theirs}.post_attention_layernorm", bias=False)
        result += fused(f"{ours}.feed_forward.inner", halves, (hidden, hidden), bias=bias)
        result += linear(f"{ours}.feed_forward.outer", f"{theirs}.mlp.down_proj", bias=bias)
    return result + linear("backbone.final_norm", "model.norm", bias=False)


LAYOUT = Layout(
    model_type="llama",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    repeated=REPEATED,
)
