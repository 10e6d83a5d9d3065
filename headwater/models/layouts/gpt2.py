"""GPT-2's layout: Radford et al. 2019, as transformers, vLLM and llama.cpp read it.

The traps: its linear maps are x W, so every matrix lies the other way round than ours; old files hold each block's
causal mask; and they leave out the prefix that newer ones have.
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
    linear,
    must_be,
    needed,
    other_than,
    task_of,
    ties,
    transposed,
    uneven_heads,
)
from headwater.models.settings import BackboneSettings, TransformerSettings
from headwater.nn.feed_forward import FeedForwardKind

ARCHITECTURES = {
    "": "GPT2Model",
    "next_token": "GPT2LMHeadModel",
    "classification": "GPT2ForSequenceClassification",
    "regression": "GPT2ForSequenceClassification",
    "tagging": "GPT2ForTokenClassification",
    "question_answering": "GPT2ForQuestionAnswering",
}
ACTIVATIONS: dict[FeedForwardKind, str] = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu"}
# Summaries are for a head that we have not; the last one is a wish of how to write texts.
KNOWN = frozenset(
    [
        "vocab_size",
        "n_embd",
        "n_inner",
        "n_layer",
        "n_head",
        "n_positions",
        "n_ctx",
        "activation_function",
        "layer_norm_epsilon",
        "resid_pdrop",
        "embd_pdrop",
        "attn_pdrop",
        "classifier_dropout",
        "scale_attn_weights",
        "scale_attn_by_inverse_layer_idx",
        "reorder_and_upcast_attn",
        "add_cross_attention",
        "tie_word_embeddings",
        "summary_type",
        "summary_use_proj",
        "summary_activation",
        "summary_proj_to_labels",
        "summary_first_dropout",
        "task_specific_params",
    ]
)


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why GPT-2's layout cannot say this, or None."""
    if not isinstance(settings, TransformerSettings):
        return "it is not a Transformer"
    fixed = {
        "layout": "gpt2",
        "causal": True,
        "positions": "learned",
        "norm": "layer",
        "norm_position": "before",
        "linear_bias": True,
        "embedding_norm": False,
        "first_attention_norm": True,
        "final_norm": True,
        "attention_scale": None,
        "embedding_scale": 1.0,
        "table_width": settings.width,
    }
    if any(window is not None for window in settings.windows):
        return "it has windows"
    if settings.feed_forward not in ACTIVATIONS:
        return f"feed_forward is {settings.feed_forward!r}, not one of {', '.join(ACTIVATIONS)}"
    return other_than(settings, fixed) or uneven_heads(settings) or _refusal_of_head(head)


def _refusal_of_head(head: HeadSettings | None) -> str | None:
    if head is None:
        return None
    if head.name not in ARCHITECTURES:
        return f"there is no {head.name} head in it"
    if head.scale != 1.0:
        return "its head scales the hidden states"
    if head.name in ("classification", "regression") and head.pooling not in ("default", "last"):
        return f"pooling is {head.pooling!r}, not 'last'"
    return None


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json."""
    return {
        "vocab_size": settings.vocabulary_size,
        "n_embd": settings.width,
        "n_inner": settings.feed_forward_width,
        "n_layer": settings.depth,
        "n_head": settings.num_heads,
        "n_positions": settings.max_length,
        "activation_function": ACTIVATIONS[settings.feed_forward],
        "layer_norm_epsilon": settings.norm_epsilon,
        "resid_pdrop": settings.residual_dropout,
        "embd_pdrop": settings.embedding_dropout,
        "attn_pdrop": settings.attention_dropout,
        "classifier_dropout": head.dropout if head is not None else 0.0,
        "tie_word_embeddings": head is None or head.tied,
        "pad_token_id": settings.pad_token,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
    }


def from_config(config: Config) -> TransformerSettings:
    """The settings of a GPT-2 config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    needed(config, "vocab_size", "n_embd", "n_layer", "n_head")
    must_be(config, "activation_function", *ACTIVATIONS.values())
    must_be(config, "scale_attn_weights", True)
    must_be(config, "scale_attn_by_inverse_layer_idx", False)
    must_be(config, "reorder_and_upcast_attn", False)
    must_be(config, "add_cross_attention", False)
    activation = config.get("activation_function", "gelu_new")
    width, length = config["n_embd"], config.get("n_positions", 1024)
    if config.get("n_ctx", length) != length:
        raise BadDataError(
            f"config.json says n_ctx = {config['n_ctx']!r} and n_positions = {length!r}; expected one number"
        )
    return TransformerSettings(
        vocabulary_size=config["vocab_size"],
        width=width,
        depth=config["n_layer"],
        num_heads=config["n_head"],
        feed_forward_width=config.get("n_inner") or 4 * width,
        feed_forward=next(ours for ours, published in ACTIVATIONS.items() if published == activation),
        norm="layer",
        norm_epsilon=config.get("layer_norm_epsilon", 1e-5),
        linear_bias=True,
        positions="learned",
        causal=True,
        embedding_dropout=config.get("embd_pdrop", 0.1),
        residual_dropout=config.get("resid_pdrop", 0.1),
        attention_dropout=config.get("attn_pdrop", 0.1),
        max_length=length,
        pad_token=config.get("pad_token_id"),
        layout="gpt2",
    )


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    task = task_of(config, ARCHITECTURES)
    match task:
        case "":
            return None
        case "next_token":
            return HeadSettings(name=task, tied=config.get("tie_word_embeddings", True))
        case "tagging":
            dropout = config.get("classifier_dropout", 0.1)
            return HeadSettings(name=task, classes=classes_of(config), dropout=dropout)
        case "question_answering":
            return HeadSettings(name=task)
        case _:
            return HeadSettings(name=task, classes=classes_of(config))


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and GPT-2's."""
    result = linear("backbone.embedding.tokens", "transformer.wte", bias=False)
    result += linear("backbone.embedding.positions.table", "transformer.wpe", bias=False)
    for number in range(settings.depth):
        ours, theirs = f"backbone.blocks.{number}", f"transformer.h.{number}"
        result += linear(f"{ours}.attention_norm", f"{theirs}.ln_1", bias=True)
        result += transposed(f"{ours}.attention.qkv", f"{theirs}.attn.c_attn")
        result += transposed(f"{ours}.attention.out", f"{theirs}.attn.c_proj")
        result += linear(f"{ours}.feed_forward_norm", f"{theirs}.ln_2", bias=True)
        result += transposed(f"{ours}.feed_forward.inner", f"{theirs}.mlp.c_fc")
        result += transposed(f"{ours}.feed_forward.outer", f"{theirs}.mlp.c_proj")
    result += linear("backbone.final_norm", "transformer.ln_f", bias=True)
    return result + (_head_names(head) if head is not None else [])


def _head_names(head: HeadSettings) -> list[Rename]:
    ours = f"heads.{head.name}"
    match head.name:
        case "next_token":
            return [] if head.tied else linear(f"{ours}.decoder", "lm_head", bias=False)
        case "question_answering":
            return linear(f"{ours}.classifier", "qa_outputs", bias=True)
        case "tagging":
            return linear(f"{ours}.classifier", "classifier", bias=True)
        case _:
            return linear(f"{ours}.classifier", "score", bias=False)


LAYOUT = Layout(
    model_type="gpt2",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    body_prefix="transformer.",
    repeated=ties({"lm_head.weight": "transformer.wte.weight"}),
    computed=frozenset(["transformer.h.*.attn.bias", "transformer.h.*.attn.masked_bias"]),
)
