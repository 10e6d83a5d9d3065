"""DINOv2's layout: Oquab et al. 2023, arXiv:2304.07193. A ViT whose classifier reads [CLS] and the mean of the patches.

The traps: the width inside the feed-forward is a whole multiple of the width; every branch is multiplied by a vector
(``lambda1``), which is ones here, and a file where it is not is refused; pictures are squares.
"""

from typing import Any

import torch

from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings
from headwater.models.layouts import vit
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
    task_of,
)
from headwater.models.settings import BackboneSettings, TransformerSettings

ARCHITECTURES = {
    "classification": "Dinov2ForImageClassification",
    "regression": "Dinov2ForImageClassification",
}
_OWN = frozenset(["mlp_ratio", "layerscale_value", "drop_path_rate", "use_swiglu_ffn", "use_mask_token"])
_OF_BACKBONES = frozenset(
    ["apply_layernorm", "reshape_hidden_states", "out_features", "out_indices", "stage_names"]
)
KNOWN = (vit.KNOWN - {"intermediate_size"}) | _OWN | _OF_BACKBONES


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why DINOv2's layout cannot say this, or None."""
    if reason := vit.refusal_of_body(settings):
        return reason
    assert isinstance(settings, TransformerSettings)
    assert settings.patches is not None
    if head is None or head.name not in ARCHITECTURES:
        return "it has no head of pictures"
    if head.pooling not in ("default", "first_and_mean"):
        return f"pooling is {head.pooling!r}, not 'first_and_mean'"
    if settings.patches.rows != settings.patches.columns:
        return "its pictures are no squares"
    if settings.feed_forward_width % settings.width:
        return "the width of its feed-forward is no multiple of its width"
    return None


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json."""
    words = vit.to_config(settings, head, special)
    del words["intermediate_size"]
    return words | {
        "mlp_ratio": settings.feed_forward_width // settings.width,
        "layerscale_value": 1.0,
        "drop_path_rate": 0.0,
        "use_swiglu_ffn": False,
        "use_mask_token": False,
    }


def from_config(config: Config) -> TransformerSettings:
    """The settings of a DINOv2 config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    needed(config, "hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size")
    for name, value in (("layerscale_value", 1.0), ("use_swiglu_ffn", False), ("use_mask_token", False)):
        must_be(config, name, value)
    as_vit = {name: value for name, value in config.items() if name in vit.KNOWN}
    width = config["hidden_size"]
    return vit.from_config({**as_vit, "intermediate_size": int(width * config.get("mlp_ratio", 4))})


def head_of(config: Config) -> HeadSettings | None:
    """The head that the config names."""
    task = task_of(config, ARCHITECTURES)
    if not task:
        raise BadDataError("config.json names no classifier of DINOv2; name a folder of one, or of a ViT")
    return HeadSettings(name=task, classes=classes_of(config))


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and DINOv2's."""
    assert head is not None
    found = [rename.under("dinov2.", instead_of="vit.") for rename in vit.names(settings, None)]
    result = [rename for rename in found if not rename.ours.startswith("backbone.blocks.")]
    for number in range(settings.depth):
        ours, theirs = f"backbone.blocks.{number}", f"dinov2.encoder.layer.{number}"
        attention = f"{theirs}.attention"
        result += linear(f"{ours}.attention_norm", f"{theirs}.norm1", bias=True)
        result += fused(
            f"{ours}.attention.qkv",
            tuple(f"{attention}.attention.{part}" for part in ("query", "key", "value")),
            (settings.width,) * 3,
            bias=True,
        )
        result += linear(f"{ours}.attention.out", f"{attention}.output.dense", bias=True)
        result += linear(f"{ours}.feed_forward_norm", f"{theirs}.norm2", bias=True)
        result += linear(f"{ours}.feed_forward.inner", f"{theirs}.mlp.fc1", bias=True)
        result += linear(f"{ours}.feed_forward.outer", f"{theirs}.mlp.fc2", bias=True)
    return [*result, *linear(f"heads.{head.name}.classifier", "classifier", bias=True)]


def extras(settings: TransformerSettings, head: HeadSettings | None) -> list[Extra]:
    """What every branch is multiplied by."""
    del head
    return [
        Extra(
            f"dinov2.encoder.layer.{number}.layer_scale{branch}.lambda1",
            torch.ones(settings.width),
            fixed=True,
        )
        for number in range(settings.depth)
        for branch in (1, 2)
    ]


LAYOUT = Layout(
    model_type="dinov2",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    body_prefix="dinov2.",
    extras=extras,
    modules=vit.ATTENTION_MODULES,
)
