"""What a model leaves out at random as it learns: none of it is a weight, so one that has learnt may be told anew."""

from collections.abc import Mapping
from dataclasses import replace

from headwater.errors import SettingsError
from headwater.models.settings import BackboneSettings, EncoderDecoderSettings, TransformerSettings
from headwater.models.tower_settings import TwoTowerSettings

SHARES = ("dropout", "attention_dropout", "stochastic_depth")
"""Numbers of updates and embeddings, weights of attention, whole updates (docs/settings.md, ``model``)."""


def with_shares(settings: BackboneSettings, shares: Mapping[str, float]) -> BackboneSettings:
    """The same Transformer, or two of them, with other shares left out in training, each 0 to below 1.

    SettingsError where a share is none, where attention is a sum that has no weights, and of other backbones.
    """
    match settings:
        case TransformerSettings():
            return _of_stack(settings, shares)
        case EncoderDecoderSettings():
            return EncoderDecoderSettings.of(
                *(_of_stack(half, shares) for half in (settings.encoder, settings.decoder))
            )
        case TwoTowerSettings():
            first, second = (_of_stack(side, shares) for side in settings.sides)
            return replace(settings, first=first, second=second)
        case _ if shares:
            raise SettingsError(
                f"model.{next(iter(shares))} does not fit: what is begun from is no Transformer, and keeps the "
                "dropout that it began with; leave it out"
            )
        case _:
            return settings


def _of_stack(settings: TransformerSettings, shares: Mapping[str, float]) -> TransformerSettings:
    named = dict(shares)
    if (dropout := named.pop("dropout", None)) is not None:
        named |= {"residual_dropout": dropout, "embedding_dropout": dropout}
    return replace(settings, **named)
