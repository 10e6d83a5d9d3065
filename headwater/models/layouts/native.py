"""Our own layout, for what no published one can say: baselines, and Transformers of other kinds.

config.json holds the settings themselves, and tensors keep our names.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from headwater.errors import BadDataError
from headwater.models.building import build_backbone
from headwater.models.heads import HeadSettings
from headwater.models.layouts.names import Config, Layout, Rename, SpecialTokens, check_keys
from headwater.models.model import Model
from headwater.models.settings import (
    BackboneSettings,
    ConvolutionalSettings,
    EncoderDecoderSettings,
    RecurrentSettings,
    ResidualSettings,
    TransformerSettings,
)
from headwater.models.tower_settings import TwoTowerSettings
from headwater.settings import from_mapping

KINDS: dict[str, type[BackboneSettings]] = {
    "headwater_transformer": TransformerSettings,
    "headwater_encoder_decoder": EncoderDecoderSettings,
    "headwater_recurrent": RecurrentSettings,
    "headwater_convolutional": ConvolutionalSettings,
    "headwater_residual": ResidualSettings,
    "headwater_two_towers": TwoTowerSettings,
}


def model_type_of(settings: BackboneSettings) -> str:
    """The native model_type of these settings."""
    return next(model_type for model_type, kind in KINDS.items() if isinstance(settings, kind))


def layout_of(model_type: str) -> Layout:
    """The native layout of one kind of backbone."""
    return Layout(
        model_type=model_type,
        architectures={},
        refusal=refusal,
        to_config=to_config,
        from_config=from_config,
        head_of=head_of,
        names=names,
        body_prefix="",
    )


def refusal(settings: BackboneSettings, head: HeadSettings | None) -> str | None:
    """The native layout can say everything."""
    del settings, head
    return None


def to_config(
    settings: BackboneSettings, head: HeadSettings | None, special: SpecialTokens
) -> dict[str, Any]:
    """config.json: the settings of backbone and head, and the token numbers that others look up."""
    return {
        "backbone": settings.to_dict(),
        "head": None if head is None else asdict(head),
        **{f"{name}_token_id": number for name, number in asdict(special).items()},
    }


def from_config(config: Config) -> BackboneSettings:
    """The settings in a native config."""
    check_keys(config, {"backbone", "head"})
    return KINDS[config["model_type"]].from_dict(_table(config, "backbone"))


def head_of(config: Config) -> HeadSettings | None:
    """The head in a native config."""
    return None if config.get("head") is None else from_mapping(HeadSettings, _table(config, "head"))


def names(settings: BackboneSettings, head: HeadSettings | None) -> list[Rename]:
    """Every tensor under its own name."""
    with torch.device("meta"):  # only the names are wanted
        model = Model(build_backbone(settings))
        if head is not None:
            model.add_head(**asdict(head))
    return [Rename(name, (name,)) for name in model.state_dict()]


def _table(config: Config, name: str) -> Mapping[str, Any]:
    if not isinstance(config.get(name), Mapping):
        raise BadDataError(f"config.json has no table {name!r}; it was not written by this program")
    return config[name]


LAYOUTS = {model_type: layout_of(model_type) for model_type in KINDS}
