"""ViViT's layout: Arnab et al. 2021, arXiv:2103.15691, model 1. A ViT whose patches reach through two frames.

The traps: the embedding's map is a convolution over time, lines and columns, and our channels are those of both frames,
a frame's beside the other's; frames are squares; the classifier reads [CLS] alone.
"""

from functools import partial
from typing import Any

from headwater.data.sequencers.patches import TUBELET
from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings
from headwater.models.layouts import vit
from headwater.models.layouts.names import (
    Config,
    Layout,
    Rename,
    SpecialTokens,
    check_keys,
    must_be,
    needed,
)
from headwater.models.settings import BackboneSettings, PatchSettings, TransformerSettings

ARCHITECTURES = {
    "": "VivitModel",
    "classification": "VivitForVideoClassification",
    "regression": "VivitForVideoClassification",
}
KNOWN = (vit.KNOWN - {"patch_size", "encoder_stride", vit.SLICES}) | {"num_frames", "tubelet_size"}


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """Why ViViT's layout cannot say this, or None."""
    if reason := vit.refusal(settings, head):
        return reason
    patches = settings.patches
    assert patches is not None
    if patches.slices == 1 or patches.channels % TUBELET:
        return "it does not read clips"
    if patches.rows != patches.slices * patches.columns:
        return "its frames are no squares"
    return None


def to_config(
    settings: TransformerSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json."""
    patches = settings.patches
    assert patches is not None
    shared = vit.to_config(settings, head, special)
    own = {name: value for name, value in shared.items() if name not in ("patch_size", vit.SLICES)}
    return own | {
        "image_size": patches.columns * patches.side,
        "num_frames": patches.slices * TUBELET,
        "tubelet_size": [TUBELET, patches.side, patches.side],
        "num_channels": patches.channels // TUBELET,
    }


def from_config(config: Config) -> TransformerSettings:
    """The settings of a ViViT config; values that this program does not compute are refused."""
    check_keys(config, KNOWN)
    needed(config, "image_size", "num_frames")
    size, frames, tubelet = config["image_size"], config["num_frames"], config.get("tubelet_size")
    if not isinstance(tubelet, list | tuple) or len(tubelet) != 3 or tubelet[0] != TUBELET:
        raise BadDataError(f"config.json says tubelet_size = {tubelet!r}; expected [{TUBELET}, side, side]")
    side = tubelet[1]
    if tubelet[2] != side or type(side) is not int or side < 1 or size % side or frames % TUBELET:
        raise BadDataError(
            f"config.json says image_size = {size}, num_frames = {frames} and tubelet_size = {tubelet!r}; expected "
            "squares that fill a frame, and pairs of frames"
        )
    must_be({"hidden_act": "gelu_fast", **config}, "hidden_act", "gelu")
    slices, across = frames // TUBELET, size // side
    patches = PatchSettings(
        rows=slices * across,
        columns=across,
        side=side,
        channels=TUBELET * config.get("num_channels", 3),
        slices=slices,
    )
    body = {name: value for name, value in config.items() if name not in ("num_frames", "tubelet_size")}
    return vit.from_config(
        body
        | {
            "image_size": [patches.rows * side, patches.columns * side],
            "patch_size": side,
            "num_channels": patches.channels,
            vit.SLICES: slices,
            "layer_norm_eps": config.get("layer_norm_eps", 1e-6),
        }
    )


def names(settings: TransformerSettings, head: HeadSettings | None) -> list[Rename]:
    """Our tensor names and ViViT's: ViT's, but for the embedding's map."""
    patches = settings.patches
    assert patches is not None
    kernel = (settings.width, patches.channels // TUBELET, TUBELET, patches.side, patches.side)
    found = [
        rename._replace(shape=kernel) if rename.ours == "backbone.embedding.projection.weight" else rename
        for rename in vit.names(settings, head)
    ]
    return [
        rename.under("vivit.", instead_of="vit.") if rename.published[0].startswith("vit.") else rename
        for rename in found
    ]


LAYOUT = Layout(
    model_type="vivit",
    architectures=ARCHITECTURES,
    refusal=refusal,
    to_config=to_config,
    from_config=from_config,
    head_of=partial(vit.head_of, architectures=ARCHITECTURES),
    names=names,
    body_prefix="vivit.",
    extras=partial(vit.extras, prefix="vivit."),
    modules=vit.MODULES,
)
