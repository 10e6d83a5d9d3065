"""ELECTRA's layout: BERT's body with heads of its own, as transformers 4 and 5 read it.

``masked_tokens`` is its generator, ``replaced_token`` its discriminator. The table of tokens may be narrower than the
model. Source: Clark et al. 2020, arXiv:2003.10555.
"""

from typing import Any

from headwater.models.heads import HeadSettings
from headwater.models.layouts import bert
from headwater.models.layouts.names import (
    Config,
    Extra,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    linear,
    needed,
    task_of,
    ties,
)
from headwater.models.settings import BackboneSettings, TransformerSettings

ARCHITECTURES = {
    "": "ElectraModel",
    "masked_tokens": "ElectraForMaskedLM",
    "replaced_token": "ElectraForPreTraining",
    "classification": "ElectraForSequenceClassification",
    "regression": "ElectraForSequenceClassification",
    "tagging": "ElectraForTokenClassification",
    "question_answering": "ElectraForQuestionAnswering",
}
# Summaries are for a head that we have not.
KNOWN = bert.KNOWN | {
    "embedding_size",
    "summary_type",
    "summary_use_proj",
    "summary_activation",
    "summary_last_dropout",
}


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why ELECTRA's layout cannot say this, or None."""
    return bert.refusal_of_body(settings, "electra") or bert.refusal_of_head(head, ARCHITECTURES)


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json."""
    return bert.to_config(settings, head, special) | {"embedding_size": settings.table_width}


def from_config(config: Config) -> TransformerSettings:
    """The settings of an ELECTRA config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    needed(config, "embedding_size")
    return bert.body_settings(config, "electra", embedding_width=config["embedding_size"])


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    return bert.head_settings(config, task_of(config, ARCHITECTURES))


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and ELECTRA's."""
    result = bert.body_names(settings, "electra")
    if settings.table_width != settings.width:
        result += linear("backbone.embedding.projection", "electra.embeddings_project", bias=True)
    return result + (_head_names(head) if head is not None else [])


def _head_names(head: HeadSettings) -> list[Rename]:
    ours = f"heads.{head.name}"
    match head.name:
        case "masked_tokens":
            result = linear(f"{ours}.transform.dense", "generator_predictions.dense", bias=True)
            result += linear(f"{ours}.transform.norm", "generator_predictions.LayerNorm", bias=True)
            output = linear(f"{ours}.decoder", "generator_lm_head", bias=True)
            return result + (output[1:] if head.tied else output)
        case "replaced_token":
            result = linear(f"{ours}.transform.dense", "discriminator_predictions.dense", bias=True)
            return result + linear(
                f"{ours}.classifier", "discriminator_predictions.dense_prediction", bias=True
            )
        case "question_answering":
            return linear(f"{ours}.classifier", "qa_outputs", bias=True)
        case "tagging":
            return linear(f"{ours}.classifier", "classifier", bias=True)
        case _:
            result = linear(f"{ours}.transform.dense", "classifier.dense", bias=True)
            return result + linear(f"{ours}.classifier", "classifier.out_proj", bias=True)


def extras(settings: TransformerSettings, head: HeadSettings | None) -> list[Extra]:
    """The vectors of first and second texts."""
    del head
    return [bert.texts_apart(settings, "electra")]


LAYOUT = Layout(
    model_type="electra",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    body_prefix="electra.",
    repeated=ties({"generator_lm_head.weight": "electra.embeddings.word_embeddings.weight"}),
    computed=frozenset(["electra.embeddings.position_ids"]),
    extras=extras,
)
