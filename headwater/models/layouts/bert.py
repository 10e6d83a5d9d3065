"""BERT's layout: Devlin et al. 2018, arXiv:1810.04805, as transformers 4 and 5 read it.

The body is shared with ELECTRA. The traps: norms stand behind each update and carry the name of the map before them;
every token also gets the vector of its text, first or second of a pair, and our models tell those apart by [SEP]
alone: as a file is read, the first text's vector is added to the positions and the second's is left out; zeros are
written for both, so that a pair gets there the answer that it gets here. Only a classifier has a pooler here; a model
without a head is written with one that does nothing but tanh, and read without.
"""

from typing import Any

import torch

from headwater.models.heads import HeadSettings
from headwater.models.layouts.names import (
    Config,
    Extra,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    classes_of,
    fused,
    linear,
    must_be,
    needed,
    other_than,
    task_of,
    ties,
    uneven_heads,
)
from headwater.models.settings import BackboneSettings, ClassicLayout, TransformerSettings

ARCHITECTURES = {
    "": "BertModel",
    "masked_tokens": "BertForMaskedLM",
    "classification": "BertForSequenceClassification",
    "regression": "BertForSequenceClassification",
    "tagging": "BertForTokenClassification",
    "question_answering": "BertForQuestionAnswering",
}
SEQUENCE_HEADS = ("classification", "regression")
TEXTS = 2
KNOWN = frozenset(
    [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_act",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "max_position_embeddings",
        "type_vocab_size",
        "layer_norm_eps",
        "position_embedding_type",
        "is_decoder",
        "add_cross_attention",
        "tie_word_embeddings",
        "gradient_checkpointing",
    ]
)


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why BERT's layout cannot say this, or None."""
    reason = refusal_of_body(settings, "bert")
    if (
        reason is None
        and isinstance(settings, TransformerSettings)
        and settings.table_width != settings.width
    ):
        return "its table of tokens has a width of its own"
    if reason is None and head is not None and head.name == "masked_tokens" and not head.tied:
        return "its output matrix is a tensor of its own"
    return reason or refusal_of_head(head, ARCHITECTURES)


def refusal_of_body(settings: BackboneSettings, layout: ClassicLayout) -> str | None:
    """Why this is not the body of BERT and ELECTRA, or None."""
    if not isinstance(settings, TransformerSettings):
        return "it is not a Transformer"
    fixed = {
        "layout": layout,
        "causal": False,
        "positions": "learned",
        "feed_forward": "gelu",
        "norm": "layer",
        "norm_position": "after",
        "linear_bias": True,
        "embedding_norm": True,
        "first_attention_norm": True,
        "final_norm": False,
        "attention_scale": None,
        "embedding_scale": 1.0,
    }
    if any(window is not None for window in settings.windows):
        return "it has windows"
    return other_than(settings, fixed) or uneven_heads(settings)


def refusal_of_head(head: HeadSettings | None, architectures: dict[str, str]) -> str | None:
    """Why a layout whose classifiers read the first token has no such head, or None."""
    if head is None:
        return None
    if head.name not in architectures:
        return f"there is no {head.name} head in it"
    if head.name in SEQUENCE_HEADS and head.pooling not in ("default", "first"):
        return f"pooling is {head.pooling!r}, not 'first'"
    return None


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json."""
    return {
        "vocab_size": settings.vocabulary_size,
        "hidden_size": settings.width,
        "intermediate_size": settings.feed_forward_width,
        "num_hidden_layers": settings.depth,
        "num_attention_heads": settings.num_heads,
        "hidden_act": "gelu",
        "hidden_dropout_prob": settings.residual_dropout,
        "attention_probs_dropout_prob": settings.attention_dropout,
        "classifier_dropout": head.dropout if head is not None else 0.0,
        "max_position_embeddings": settings.max_length,
        "type_vocab_size": TEXTS,
        "layer_norm_eps": settings.norm_epsilon,
        "is_decoder": False,
        "tie_word_embeddings": head is None or head.tied,
        "pad_token_id": settings.pad_token,
        "bos_token_id": special.cls,
        "eos_token_id": special.sep,
        "cls_token_id": special.cls,
        "sep_token_id": special.sep,
    }


def from_config(config: Config) -> TransformerSettings:
    """The settings of a BERT config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    return body_settings(config, "bert")


def body_settings(
    config: Config, layout: ClassicLayout, *, embedding_width: int | None = None
) -> TransformerSettings:
    """The settings behind the keys that BERT and ELECTRA share."""
    needed(
        config, "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"
    )
    must_be(config, "hidden_act", "gelu")
    must_be(config, "position_embedding_type", "absolute")
    must_be(config, "is_decoder", False)
    must_be(config, "add_cross_attention", False)
    must_be(config, "type_vocab_size", TEXTS)
    dropout = config.get("hidden_dropout_prob", 0.1)
    return TransformerSettings(
        vocabulary_size=config["vocab_size"],
        width=config["hidden_size"],
        depth=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        embedding_width=None if embedding_width == config["hidden_size"] else embedding_width,
        feed_forward_width=config["intermediate_size"],
        feed_forward="gelu",
        norm="layer",
        norm_position="after",
        norm_epsilon=config.get("layer_norm_eps", 1e-12),
        linear_bias=True,
        positions="learned",
        embedding_norm=True,
        final_norm=False,
        embedding_dropout=dropout,
        residual_dropout=dropout,
        attention_dropout=config.get("attention_probs_dropout_prob", 0.1),
        max_length=config.get("max_position_embeddings", 512),
        pad_token=config.get("pad_token_id", 0),
        layout=layout,
    )


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    task = task_of(config, ARCHITECTURES)
    if task == "masked_tokens":
        must_be(config, "tie_word_embeddings", True)
    return head_settings(config, task)


def head_settings(config: Config, task: str) -> HeadSettings | None:
    """The head of that task in the words that BERT and ELECTRA share."""
    if task not in (*SEQUENCE_HEADS, "tagging"):
        return HeadSettings(name=task, tied=config.get("tie_word_embeddings", True)) if task else None
    dropout = config.get("classifier_dropout")
    if dropout is None:
        dropout = config.get("hidden_dropout_prob", 0.1)
    return HeadSettings(name=task, classes=classes_of(config), dropout=dropout)


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and BERT's."""
    result = body_names(settings, "bert")
    if head is None:
        return result
    ours = f"heads.{head.name}"
    if head.name == "masked_tokens":
        result += linear(f"{ours}.transform.dense", "cls.predictions.transform.dense", bias=True)
        result += linear(f"{ours}.transform.norm", "cls.predictions.transform.LayerNorm", bias=True)
        return [*result, Rename(f"{ours}.decoder.bias", ("cls.predictions.bias",))]
    if head.name == "question_answering":
        return result + linear(f"{ours}.classifier", "qa_outputs", bias=True)
    if head.name in SEQUENCE_HEADS:
        result += linear(f"{ours}.transform.dense", "bert.pooler.dense", bias=True)
    return result + linear(f"{ours}.classifier", "classifier", bias=True)


def body_names(settings: TransformerSettings, root: str) -> list[Rename]:
    """The backbone's tensors, the same in BERT and ELECTRA but for the first word of their names."""
    embeddings = f"{root}.embeddings"
    result = linear("backbone.embedding.tokens", f"{embeddings}.word_embeddings", bias=False)
    result += linear("backbone.embedding.positions.table", f"{embeddings}.position_embeddings", bias=False)
    result += linear("backbone.embedding.norm", f"{embeddings}.LayerNorm", bias=True)
    for number in range(settings.depth):
        ours, theirs = f"backbone.blocks.{number}", f"{root}.encoder.layer.{number}"
        heads = [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")]
        result += fused(f"{ours}.attention.qkv", heads, (settings.width,) * 3, bias=True)
        result += linear(f"{ours}.attention.out", f"{theirs}.attention.output.dense", bias=True)
        result += linear(f"{ours}.attention_norm", f"{theirs}.attention.output.LayerNorm", bias=True)
        result += linear(f"{ours}.feed_forward.inner", f"{theirs}.intermediate.dense", bias=True)
        result += linear(f"{ours}.feed_forward.outer", f"{theirs}.output.dense", bias=True)
        result += linear(f"{ours}.feed_forward_norm", f"{theirs}.output.LayerNorm", bias=True)
    return result


def extras(settings: TransformerSettings, head: HeadSettings | None) -> list[Extra]:
    """The vectors of first and second texts, and the pooler of a model without a head."""
    result = [texts_apart(settings, "bert")]
    if head is None:
        result.append(Extra("bert.pooler.dense.weight", torch.eye(settings.width)))
        result.append(Extra("bert.pooler.dense.bias", torch.zeros(settings.width)))
    return result


def texts_apart(settings: TransformerSettings, root: str) -> Extra:
    """The table that tells the texts of a pair apart; its first row joins the positions."""
    return Extra(
        f"{root}.embeddings.token_type_embeddings.weight",
        torch.zeros(TEXTS, settings.table_width),
        joins=f"{root}.embeddings.position_embeddings.weight",
    )


LAYOUT = Layout(
    model_type="bert",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    body_prefix="bert.",
    repeated=ties(
        {
            "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
            "cls.predictions.decoder.bias": "cls.predictions.bias",
        }
    ),
    computed=frozenset(["bert.embeddings.position_ids"]),
    extras=extras,
)
