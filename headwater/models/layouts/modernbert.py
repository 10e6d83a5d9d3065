"""ModernBERT's layout: Warner et al. 2024, arXiv:2412.13663, as transformers ≥ 4.48 reads it.

The traps: the first block has no attention norm; ``local_attention`` counts both sides together (128 is 64 to either
side, our window 65); a config without ``layer_types`` means every n-th block is global, from the first.
"""

from typing import Any

from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings, PoolingChoice
from headwater.models.layouts.names import (
    Config,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    classes_of,
    default_rotation,
    linear,
    must_be,
    needed,
    other_than,
    task_of,
    ties,
    uneven_heads,
)
from headwater.models.settings import BackboneSettings, TransformerSettings

ARCHITECTURES = {
    "": "ModernBertModel",
    "masked_tokens": "ModernBertForMaskedLM",
    "classification": "ModernBertForSequenceClassification",
    "regression": "ModernBertForSequenceClassification",
    "tagging": "ModernBertForTokenClassification",
    "question_answering": "ModernBertForQuestionAnswering",
}
POOLINGS: dict[PoolingChoice, str] = {"default": "mean", "mean": "mean", "first": "cls"}
SEQUENCE_HEADS = ("classification", "regression")
LOCAL, GLOBAL = "sliding_attention", "full_attention"
KNOWN = frozenset(
    [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_activation",
        "norm_eps",
        "norm_bias",
        "max_position_embeddings",
        "attention_bias",
        "mlp_bias",
        "attention_dropout",
        "mlp_dropout",
        "embedding_dropout",
        "layer_types",
        "local_attention",
        "global_attn_every_n_layers",
        "rope_parameters",
        "rope_scaling",
        "global_rope_theta",
        "local_rope_theta",
        "decoder_bias",
        "classifier_pooling",
        "classifier_dropout",
        "classifier_bias",
        "classifier_activation",
        "tie_word_embeddings",
        "initializer_cutoff_factor",
        "deterministic_flash_attn",
        "sparse_prediction",
        "sparse_pred_ignore_index",
        "reference_compile",
        "repad_logits_with_grad",
        "position_embedding_type",
    ]
)


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why ModernBERT's layout cannot say this, or None."""
    if not isinstance(settings, TransformerSettings):
        return "it is not a Transformer"
    fixed = {
        "causal": False,
        "positions": "rotary",
        "feed_forward": "geglu",
        "norm_position": "before",
        "embedding_norm": True,
        "first_attention_norm": False,
        "final_norm": True,
        "attention_scale": None,
        "embedding_scale": 1.0,
        "table_width": settings.width,
        "layout": None,
    }
    if reason := other_than(settings, fixed) or uneven_heads(settings):
        return reason
    if settings.norm == "rms":
        return "norm is 'rms'"
    if len({window for window in settings.windows if window is not None}) > 1:
        return "windows differ from block to block"
    if head is not None and head.name not in ARCHITECTURES:
        return f"there is no {head.name} head in it"
    if head is not None and head.name in SEQUENCE_HEADS and head.pooling not in POOLINGS:
        return f"pooling is {head.pooling!r}, not one of {', '.join(POOLINGS)}"
    return None


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json, readable by transformers 4 (global_…, local_…) and 5 (rope_parameters, layer_types)."""
    windows = [settings.window_of(number) for number in range(settings.depth)]
    local = next((window for window in windows if window is not None), 65)
    local_theta = (
        settings.rotary_theta if settings.local_rotary_theta is None else settings.local_rotary_theta
    )
    return {
        "vocab_size": settings.vocabulary_size,
        "hidden_size": settings.width,
        "intermediate_size": settings.feed_forward_width,
        "num_hidden_layers": settings.depth,
        "num_attention_heads": settings.num_heads,
        "hidden_activation": "gelu",
        "max_position_embeddings": settings.max_length,
        "norm_eps": settings.norm_epsilon,
        "norm_bias": settings.norm == "layer",
        "attention_bias": settings.linear_bias,
        "mlp_bias": settings.linear_bias,
        "attention_dropout": settings.attention_dropout,
        "mlp_dropout": settings.feed_forward_dropout,
        "embedding_dropout": settings.embedding_dropout,
        "local_attention": 2 * (local - 1),
        "layer_types": [GLOBAL if window is None else LOCAL for window in windows],
        "global_attn_every_n_layers": _period(windows),
        "rope_parameters": {
            GLOBAL: {"rope_type": "default", "rope_theta": settings.rotary_theta},
            LOCAL: {"rope_type": "default", "rope_theta": local_theta},
        },
        "global_rope_theta": settings.rotary_theta,
        "local_rope_theta": local_theta,
        "decoder_bias": True,
        "classifier_pooling": POOLINGS[
            "mean" if head is None or head.name not in SEQUENCE_HEADS else head.pooling
        ],
        "classifier_dropout": head.dropout if head is not None else 0.0,
        "classifier_bias": False,
        "classifier_activation": "gelu",
        "tie_word_embeddings": head is None or head.tied,
        "pad_token_id": settings.pad_token,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
        "cls_token_id": special.cls,
        "sep_token_id": special.sep,
    }


def from_config(config: Config) -> TransformerSettings:
    """The settings of a ModernBERT config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    needed(
        config, "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"
    )
    must_be(config, "hidden_activation", "gelu")
    must_be(config, "rope_scaling", None)
    must_be(config, "norm_bias", True, False)
    must_be(config, "attention_bias", True, False)
    must_be(config, "position_embedding_type", "absolute")  # written by early versions, read by none
    if config.get("attention_bias", False) != config.get("mlp_bias", False):
        raise BadDataError(
            "config.json says attention_bias and mlp_bias differ; this program has both or neither"
        )
    rotation: Config = config.get("rope_parameters") or {}
    return TransformerSettings(
        vocabulary_size=config["vocab_size"],
        width=config["hidden_size"],
        depth=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        feed_forward_width=config["intermediate_size"],
        norm="layer" if config.get("norm_bias", False) else "layer_without_bias",
        norm_epsilon=config.get("norm_eps", 1e-5),
        linear_bias=config.get("attention_bias", False),
        rotary_theta=default_rotation(rotation.get(GLOBAL), config.get("global_rope_theta", 160_000.0)),
        local_rotary_theta=default_rotation(rotation.get(LOCAL), _local_theta(config)),
        windows=_windows(config),
        embedding_norm=True,
        first_attention_norm=False,
        embedding_dropout=config.get("embedding_dropout", 0.0),
        attention_dropout=config.get("attention_dropout", 0.0),
        feed_forward_dropout=config.get("mlp_dropout", 0.0),
        max_length=config.get("max_position_embeddings", 8192),
        pad_token=config.get("pad_token_id"),
    )


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    must_be(config, "decoder_bias", True)
    must_be(config, "classifier_bias", False)
    must_be(config, "classifier_activation", "gelu")
    must_be(config, "classifier_pooling", *POOLINGS.values())
    task = task_of(config, ARCHITECTURES)
    if not task:
        return None
    pooling: PoolingChoice = next(
        ours for ours, published in POOLINGS.items() if published == config.get("classifier_pooling", "cls")
    )
    return HeadSettings(
        name=task,
        classes=classes_of(config) if task not in ("masked_tokens", "question_answering") else None,
        pooling=pooling if task in SEQUENCE_HEADS else "default",
        dropout=config.get("classifier_dropout", 0.0) if task != "masked_tokens" else 0.0,
        tied=config.get("tie_word_embeddings", True),
    )


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and ModernBERT's; its fused maps hold their rows in our order."""
    norm_bias, bias = settings.norm == "layer", settings.linear_bias
    result = linear("backbone.embedding.tokens", "model.embeddings.tok_embeddings", bias=False)
    result += linear("backbone.embedding.norm", "model.embeddings.norm", bias=norm_bias)
    for number in range(settings.depth):
        ours, theirs = f"backbone.blocks.{number}", f"model.layers.{number}"
        if number > 0:
            result += linear(f"{ours}.attention_norm", f"{theirs}.attn_norm", bias=norm_bias)
        result += linear(f"{ours}.attention.qkv", f"{theirs}.attn.Wqkv", bias=bias)
        result += linear(f"{ours}.attention.out", f"{theirs}.attn.Wo", bias=bias)
        result += linear(f"{ours}.feed_forward_norm", f"{theirs}.mlp_norm", bias=norm_bias)
        result += linear(f"{ours}.feed_forward.inner", f"{theirs}.mlp.Wi", bias=bias)
        result += linear(f"{ours}.feed_forward.outer", f"{theirs}.mlp.Wo", bias=bias)
    result += linear("backbone.final_norm", "model.final_norm", bias=norm_bias)
    return result + (_head_names(head, norm_bias) if head is not None else [])


def _head_names(head: HeadSettings, norm_bias: bool) -> list[Rename]:
    ours = f"heads.{head.name}"
    result = linear(f"{ours}.transform.dense", "head.dense", bias=False)
    result += linear(f"{ours}.transform.norm", "head.norm", bias=norm_bias)
    if head.name != "masked_tokens":
        return result + linear(f"{ours}.classifier", "classifier", bias=True)
    if head.tied:
        return [*result, Rename(f"{ours}.decoder.bias", ("decoder.bias",))]
    return result + linear(f"{ours}.decoder", "decoder", bias=True)


def _local_theta(config: Config) -> float:
    local = config.get("local_rope_theta", 10_000.0)
    return config.get("global_rope_theta", 160_000.0) if local is None else local


def _windows(config: Config) -> tuple[int | None, ...]:
    depth, period = config["num_hidden_layers"], config.get("global_attn_every_n_layers", 3)
    kinds = config.get("layer_types") or [LOCAL if number % period else GLOBAL for number in range(depth)]
    if strange := set(kinds) - {LOCAL, GLOBAL}:
        raise BadDataError(
            f"config.json names the layer types {sorted(strange)}; known are {GLOBAL} and {LOCAL}"
        )
    window = config.get("local_attention", 128) // 2 + 1
    return tuple(window if kind == LOCAL else None for kind in kinds)


def _period(windows: list[int | None]) -> int:
    """Every how many blocks one is global, for transformers 4; it knows no other pattern."""
    later = [number for number, window in enumerate(windows) if window is None and number > 0]
    return later[0] if later else max(len(windows), 1)


LAYOUT = Layout(
    model_type="modernbert",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    repeated=ties({"decoder.weight": "model.embeddings.tok_embeddings.weight"}),
)
