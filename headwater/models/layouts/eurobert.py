"""EuroBERT's layout: Llama's block, reading both sides, as transformers ≥ 5.4 reads it.

Source: Boizard et al. 2025, arXiv:2503.05500.
"""

from typing import Any, cast

from headwater.models.heads import HeadSettings, PoolingChoice
from headwater.models.layouts.llama import KNOWN as LLAMA_KNOWN
from headwater.models.layouts.llama import (
    REPEATED,
    block_config,
    block_names,
    block_settings,
    refusal_of_block,
)
from headwater.models.layouts.names import (
    Config,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    classes_of,
    linear,
    must_be,
    task_of,
)
from headwater.models.settings import BackboneSettings, TransformerSettings

ARCHITECTURES = {
    "": "EuroBertModel",
    "masked_tokens": "EuroBertForMaskedLM",
    "classification": "EuroBertForSequenceClassification",
    "regression": "EuroBertForSequenceClassification",
    "tagging": "EuroBertForTokenClassification",
}
POOLINGS: dict[PoolingChoice, str] = {"default": "mean", "mean": "mean", "first": "bos", "late": "late"}
SEQUENCE_HEADS = ("classification", "regression")
KNOWN = LLAMA_KNOWN | {"classifier_pooling"}


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why EuroBERT's layout cannot say this, or None."""
    reason = refusal_of_block(settings, causal=False)
    if reason is not None or head is None:
        return reason
    if head.name not in ARCHITECTURES:
        return f"there is no {head.name} head in it"
    if head.name in SEQUENCE_HEADS and head.pooling not in POOLINGS:
        return f"pooling is {head.pooling!r}, not one of {', '.join(POOLINGS)}"
    if head.name == "masked_tokens" and cast(TransformerSettings, settings).linear_bias:
        return "its output layer would have a bias too"
    return None


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json."""
    return block_config(settings, special) | {
        "tie_word_embeddings": head is not None and head.name == "masked_tokens" and head.tied,
        "classifier_pooling": POOLINGS[
            "mean" if head is None or head.name not in SEQUENCE_HEADS else head.pooling
        ],
        "mask_token_id": special.mask,
    }


def from_config(config: Config) -> TransformerSettings:
    """The settings of a EuroBERT config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    return block_settings(config, causal=False, epsilon=1e-5, max_length=8192)


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    must_be(config, "classifier_pooling", *POOLINGS.values())
    task = task_of(config, ARCHITECTURES)
    if not task:
        return None
    if task == "masked_tokens":
        return HeadSettings(name=task, tied=config.get("tie_word_embeddings", False))
    if task == "tagging":
        return HeadSettings(name=task, classes=classes_of(config))
    pooling: PoolingChoice = next(
        ours for ours, published in POOLINGS.items() if published == config.get("classifier_pooling", "late")
    )
    return HeadSettings(name=task, classes=classes_of(config), pooling=pooling)


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and EuroBERT's."""
    result = block_names(settings)
    if head is None or (head.name == "masked_tokens" and head.tied):
        return result
    ours = f"heads.{head.name}"
    if head.name == "masked_tokens":
        return result + linear(f"{ours}.decoder", "lm_head", bias=False)
    if head.name != "tagging":
        result += linear(f"{ours}.transform.dense", "dense", bias=True)
    return result + linear(f"{ours}.classifier", "classifier", bias=True)


LAYOUT = Layout(
    model_type="eurobert",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    repeated=REPEATED,
)
