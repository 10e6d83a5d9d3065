"""ViT's layout: Dosovitskiy et al. 2021, arXiv:2010.11929, as transformers 4 and 5 read it.

The traps: the tensors keep the names of transformers 4 on disk; the embedding's map is a convolution there, whose
numbers in a row are channel, line, column; the classifier reads [CLS] behind the final norm without a pooler, and a
model without a head is written with one that does nothing but tanh, and read without.
"""

from collections.abc import Mapping
from typing import Any

import torch

from headwater.errors import BadDataError
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
    uneven_heads,
)
from headwater.models.settings import BackboneSettings, PatchSettings, TransformerSettings

ARCHITECTURES = {
    "": "ViTModel",
    "classification": "ViTForImageClassification",
    "regression": "ViTForImageClassification",
}
SLICES = "headwater_slices"
"""How many slices of time a strip has, where it is one of a clip; ViT itself knows no time."""
ATTENTION_MODULES = (
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
)
MODULES = (
    ("encoder.layer.", "layers."),
    *ATTENTION_MODULES,
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
)
KNOWN = frozenset(
    [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_act",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "layer_norm_eps",
        "image_size",
        "patch_size",
        "num_channels",
        "qkv_bias",
        "encoder_stride",
        "pooler_output_size",
        "pooler_act",
        SLICES,
    ]
)


def refusal_of_body(settings: BackboneSettings) -> str | None:
    """Why a backbone is not ViT's, or None."""
    if not isinstance(settings, TransformerSettings) or settings.patches is None:
        return "it does not read patches"
    fixed = {
        "layout": None,
        "feed_forward": "gelu",
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
    if not settings.patches.bias:
        return "its embedding has no bias"
    return other_than(settings, fixed) or uneven_heads(settings)


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why ViT's layout cannot say this, or None."""
    return refusal_of_body(settings) or _refusal_of_head(head)


def _refusal_of_head(head: HeadSettings | None) -> str | None:
    if head is None:
        return None
    if head.name not in ARCHITECTURES:
        return f"there is no {head.name} head in it"
    if head.pooling != "first":
        return f"pooling is {head.pooling!r}, not 'first'"
    return None


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json."""
    del head, special
    patches = settings.patches
    assert patches is not None
    height, width = patches.rows * patches.side, patches.columns * patches.side
    return {
        "hidden_size": settings.width,
        "intermediate_size": settings.feed_forward_width,
        "num_hidden_layers": settings.depth,
        "num_attention_heads": settings.num_heads,
        "hidden_act": "gelu",
        "hidden_dropout_prob": settings.residual_dropout,
        "attention_probs_dropout_prob": settings.attention_dropout,
        "layer_norm_eps": settings.norm_epsilon,
        "image_size": height if height == width else [height, width],
        "patch_size": patches.side,
        "num_channels": patches.channels,
        "qkv_bias": True,
        **({SLICES: patches.slices} if patches.slices > 1 else {}),
    }


def from_config(config: Config) -> TransformerSettings:
    """The settings of a ViT config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    needed(config, "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    needed(config, "patch_size")
    must_be(config, "hidden_act", "gelu")
    must_be(config, "qkv_bias", True)
    patches = _patches(config)
    dropout = config.get("hidden_dropout_prob", 0.0)
    return TransformerSettings(
        vocabulary_size=0,
        pad_token=None,
        width=config["hidden_size"],
        depth=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        feed_forward_width=config["intermediate_size"],
        feed_forward="gelu",
        norm="layer",
        norm_epsilon=config.get("layer_norm_eps", 1e-12),
        linear_bias=True,
        positions="learned",
        embedding_dropout=dropout,
        residual_dropout=dropout,
        attention_dropout=config.get("attention_probs_dropout_prob", 0.0),
        max_length=patches.count + 1,
        patches=patches,
    )


def _patches(config: Config) -> PatchSettings:
    size, side = config.get("image_size", 224), config["patch_size"]
    height, width = size if isinstance(size, list | tuple) and len(size) == 2 else (size, size)
    if not all(type(length) is int and length >= side and length % side == 0 for length in (height, width)):
        raise BadDataError(
            f"config.json says image_size = {size!r} and patch_size = {side!r}; expected sides that patches fill"
        )
    return PatchSettings(
        rows=height // side,
        columns=width // side,
        side=side,
        channels=config.get("num_channels", 3),
        slices=config.get(SLICES, 1),
    )


def head_of(config: Config, architectures: Mapping[str, str] = ARCHITECTURES) -> HeadSettings | None:
    """The head that the config names, of these architectures; it reads [CLS]."""
    task = task_of(config, architectures)
    return HeadSettings(name=task, classes=classes_of(config), pooling="first") if task else None


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and ViT's."""
    patches = settings.patches
    assert patches is not None
    ours, theirs = "backbone.embedding", "vit.embeddings"
    kernel = (settings.width, patches.channels, patches.side, patches.side)
    weight, bias = linear(f"{ours}.projection", f"{theirs}.patch_embeddings.projection", bias=True)
    result = [
        weight._replace(shape=kernel, own_shape=(settings.width, patches.features)),
        bias,
        Rename(f"{ours}.first.weight", (f"{theirs}.cls_token",), shape=(1, 1, settings.width)),
        Rename(
            f"{ours}.positions.table.weight",
            (f"{theirs}.position_embeddings",),
            shape=(1, settings.max_length, settings.width),
        ),
    ]
    for number in range(settings.depth):
        ours, theirs = f"backbone.blocks.{number}", f"vit.encoder.layer.{number}"
        attention = f"{theirs}.attention.attention"
        result += linear(f"{ours}.attention_norm", f"{theirs}.layernorm_before", bias=True)
        result += fused(
            f"{ours}.attention.qkv",
            (f"{attention}.query", f"{attention}.key", f"{attention}.value"),
            (settings.width,) * 3,
            bias=True,
        )
        result += linear(f"{ours}.attention.out", f"{theirs}.attention.output.dense", bias=True)
        result += linear(f"{ours}.feed_forward_norm", f"{theirs}.layernorm_after", bias=True)
        result += linear(f"{ours}.feed_forward.inner", f"{theirs}.intermediate.dense", bias=True)
        result += linear(f"{ours}.feed_forward.outer", f"{theirs}.output.dense", bias=True)
    result += linear("backbone.final_norm", "vit.layernorm", bias=True)
    if head is not None:
        result += linear(f"heads.{head.name}.classifier", "classifier", bias=True)
    return result


def extras(settings: TransformerSettings, head: HeadSettings | None, *, prefix: str = "vit.") -> list[Extra]:
    """The pooler of a model without a head."""
    if head is not None:
        return []
    return [
        Extra(f"{prefix}pooler.dense.weight", torch.eye(settings.width)),
        Extra(f"{prefix}pooler.dense.bias", torch.zeros(settings.width)),
    ]


LAYOUT = Layout(
    model_type="vit",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    body_prefix="vit.",
    extras=extras,
    modules=MODULES,
)
