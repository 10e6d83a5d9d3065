"""CLIP's layout: Radford et al. 2021, arXiv:2103.00020, as transformers reads it.

The traps: a picture's embedding has no bias and a norm (whose published name is misspelt); the text is read by its last
token, [SEP], which transformers looks for by its number, unless that is 2: then it takes the token of the highest
number, as old files need it. So a vocabulary for pairs gives [SEP] another one.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings
from headwater.models.layouts.names import (
    Config,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    fused,
    linear,
    must_be,
    needed,
    other_than,
    uneven_heads,
)
from headwater.models.settings import BackboneSettings, PatchSettings, TransformerSettings
from headwater.models.tower_settings import TwoTowerSettings

ARCHITECTURES = {"": "CLIPModel"}
OLD_END = 2
"""The number of [SEP] that transformers takes for that of an old file."""
_SIDE = frozenset(
    [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_act",
        "attention_dropout",
        "layer_norm_eps",
        "projection_dim",
        "initializer_factor",
        "dropout",
    ]
)
_VISION = _SIDE | {"image_size", "patch_size", "num_channels"}
_TEXT = _SIDE | {"vocab_size", "max_position_embeddings"}
_WHOLE = frozenset(
    ["text_config", "vision_config", "projection_dim", "logit_scale_init_value", "initializer_factor"]
)
_FIXED: Mapping[str, object] = {
    "layout": None,
    "feed_forward": "gelu",
    "norm": "layer",
    "norm_position": "before",
    "linear_bias": True,
    "positions": "learned",
    "first_attention_norm": True,
    "final_norm": True,
    "attention_scale": None,
    "embedding_scale": 1.0,
    "embedding_dropout": 0.0,
    "residual_dropout": 0.0,
    "feed_forward_dropout": 0.0,
}


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why CLIP's layout cannot say this, or None."""
    if not isinstance(settings, TwoTowerSettings):
        return "it does not read pairs"
    if head is not None:
        return f"there is no {head.name} head in it"
    picture, text = settings.first, settings.second
    if picture.patches is None or text.patches is not None:
        return "it is not for a picture and a text"
    if (settings.first_pooling, settings.second_pooling) != ("first", "last"):
        return "it does not read [CLS] of the picture and the last token of the text"
    if picture.patches.rows != picture.patches.columns or picture.patches.slices > 1 or picture.patches.bias:
        return "its pictures are no squares, or their embedding has a bias"
    return _refusal_of_side(picture, embedding_norm=True, causal=False) or _refusal_of_side(
        text, embedding_norm=False, causal=True
    )


def _refusal_of_side(settings: TransformerSettings, **fixed: object) -> str | None:
    if any(window is not None for window in settings.windows):
        return "it has windows"
    expected = {**_FIXED, **fixed, "table_width": settings.width}
    return other_than(settings, expected) or uneven_heads(settings)


def to_config(
    settings: TwoTowerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json."""
    del head
    picture, text = settings.first, settings.second
    patches = picture.patches
    assert patches is not None
    return {
        "projection_dim": settings.joint_width,
        "vision_config": _side(picture, settings)
        | {
            "model_type": "clip_vision_model",
            "image_size": patches.rows * patches.side,
            "patch_size": patches.side,
            "num_channels": patches.channels,
        },
        "text_config": _side(text, settings)
        | {
            "model_type": "clip_text_model",
            "vocab_size": text.vocabulary_size,
            "max_position_embeddings": text.max_length,
            "pad_token_id": text.pad_token,
            "bos_token_id": special.cls,
            "eos_token_id": special.sep,
        },
    }


def _side(settings: TransformerSettings, both: TwoTowerSettings) -> dict[str, Any]:
    return {
        "hidden_size": settings.width,
        "intermediate_size": settings.feed_forward_width,
        "num_hidden_layers": settings.depth,
        "num_attention_heads": settings.num_heads,
        "hidden_act": "gelu",
        "attention_dropout": settings.attention_dropout,
        "layer_norm_eps": settings.norm_epsilon,
        "projection_dim": both.joint_width,
    }


def from_config(config: Config) -> TwoTowerSettings:
    """The settings of a CLIP config; values that this program does not compute are refused."""
    check_keys(config, _WHOLE)
    picture, text = _table(config, "vision_config"), _table(config, "text_config")
    check_keys(picture, _VISION)
    check_keys(text, _TEXT)
    needed(picture, "image_size", "patch_size")
    needed(text, "vocab_size", "max_position_embeddings")
    if text.get("eos_token_id") == OLD_END:
        raise BadDataError(
            "config.json says eos_token_id = 2, as files did where the end of a text is the token of the highest "
            "number; expected the number of [SEP]"
        )
    size, side = picture["image_size"], picture["patch_size"]
    if size % side:
        raise BadDataError(
            f"config.json says image_size = {size} and patch_size = {side}; one divides the other"
        )
    patches = PatchSettings(
        rows=size // side,
        columns=size // side,
        side=side,
        channels=picture.get("num_channels", 3),
        bias=False,
    )
    return TwoTowerSettings.of(
        _stack(
            picture,
            vocabulary_size=0,
            pad_token=None,
            patches=patches,
            embedding_norm=True,
            max_length=patches.count + 1,
        ),
        _stack(
            text,
            vocabulary_size=text["vocab_size"],
            pad_token=text.get("pad_token_id"),
            causal=True,
            max_length=text["max_position_embeddings"],
        ),
        joint_width=config.get("projection_dim", 512),
        first_pooling="first",
        second_pooling="last",
    )


def _stack(config: Config, **own: Any) -> TransformerSettings:
    needed(config, "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    must_be({"hidden_act": "quick_gelu", **config}, "hidden_act", "gelu")
    must_be(config, "dropout", 0.0)
    return TransformerSettings(
        width=config["hidden_size"],
        depth=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        feed_forward_width=config["intermediate_size"],
        feed_forward="gelu",
        norm="layer",
        norm_epsilon=config.get("layer_norm_eps", 1e-5),
        linear_bias=True,
        positions="learned",
        attention_dropout=config.get("attention_dropout", 0.0),
        **own,
    )


def head_of(config: Config) -> HeadSettings | None:
    """There is none."""
    del config
    return None


def names(settings: TwoTowerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and CLIP's."""
    del head
    picture, text = settings.first, settings.second
    patches = picture.patches
    assert patches is not None
    ours, theirs = "backbone.first.stack", "vision_model.embeddings"
    kernel = (picture.width, patches.channels, patches.side, patches.side)
    return [
        Rename("backbone.scale.logarithm", ("logit_scale",)),
        *linear("backbone.first.projection", "visual_projection", bias=False),
        *linear("backbone.second.projection", "text_projection", bias=False),
        Rename(
            f"{ours}.embedding.projection.weight",
            (f"{theirs}.patch_embedding.weight",),
            shape=kernel,
            own_shape=(picture.width, patches.features),
        ),
        Rename(
            f"{ours}.embedding.first.weight",
            (f"{theirs}.class_embedding",),
            shape=(picture.width,),
            own_shape=(1, picture.width),
        ),
        Rename(f"{ours}.embedding.positions.table.weight", (f"{theirs}.position_embedding.weight",)),
        *linear(f"{ours}.embedding.norm", "vision_model.pre_layrnorm", bias=True),
        *_blocks(picture, ours, "vision_model"),
        *linear(f"{ours}.final_norm", "vision_model.post_layernorm", bias=True),
        *_of_text(text),
    ]


def _of_text(text: TransformerSettings) -> Iterator[Rename]:
    ours, theirs = "backbone.second.stack", "text_model.embeddings"
    yield Rename(f"{ours}.embedding.tokens.weight", (f"{theirs}.token_embedding.weight",))
    yield Rename(f"{ours}.embedding.positions.table.weight", (f"{theirs}.position_embedding.weight",))
    yield from _blocks(text, ours, "text_model")
    yield from linear(f"{ours}.final_norm", "text_model.final_layer_norm", bias=True)


def _blocks(settings: TransformerSettings, ours: str, theirs: str) -> Iterator[Rename]:
    for number in range(settings.depth):
        own, other = f"{ours}.blocks.{number}", f"{theirs}.encoder.layers.{number}"
        parts = tuple(f"{other}.self_attn.{part}_proj" for part in "qkv")
        yield from linear(f"{own}.attention_norm", f"{other}.layer_norm1", bias=True)
        yield from fused(f"{own}.attention.qkv", parts, (settings.width,) * 3, bias=True)
        yield from linear(f"{own}.attention.out", f"{other}.self_attn.out_proj", bias=True)
        yield from linear(f"{own}.feed_forward_norm", f"{other}.layer_norm2", bias=True)
        yield from linear(f"{own}.feed_forward.inner", f"{other}.mlp.fc1", bias=True)
        yield from linear(f"{own}.feed_forward.outer", f"{other}.mlp.fc2", bias=True)


def _table(config: Config, name: str) -> Config:
    if not isinstance(config.get(name), Mapping):
        raise BadDataError(f"config.json has no table {name!r}; fetch or make the folder again")
    return cast(Config, config[name])


LAYOUT = Layout(
    model_type="clip",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=head_of,
    names=names,
    body_prefix="",
    computed=frozenset(["*.position_ids"]),
)
