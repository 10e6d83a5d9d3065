"""Which backbone a pre-training run trains: by size, with overrides, or its parent's."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

from headwater.data.sequencers import Patches, Tokenizer
from headwater.errors import SettingsError
from headwater.models import (
    BackboneSettings,
    EncoderDecoderSettings,
    HeadSettings,
    Model,
    PatchSettings,
    RecurrentSettings,
    TransformerSettings,
    build_model,
    cost_of,
    encoder_decoder_settings,
    load_bundle,
    matched_hidden,
    matched_settings,
    picture_settings,
)
from headwater.models.layouts import has_home
from headwater.models.sizes import (
    DECODERS,
    ENCODER_DECODERS,
    ENCODERS,
    BaselineKind,
    LayoutName,
    feed_forward_width,
)
from headwater.objectives.objective import Reads
from headwater.run.choosing_objective import READS, Pretext
from headwater.run.resizing import resized
from headwater.run.settings import STACKED, ModelSettings, RunSettings
from headwater.run.starting import StartingPoint, model_folder

USUAL_WINDOW = 65
"""Positions that a block with a window looks at, itself in the middle."""
DROPOUT_OF_VIEWS = 0.1
"""Where two passes over one text have to differ."""
LAYOUTS_THAT_READ: Mapping[Reads, Collection[LayoutName]] = {
    "both": ENCODERS,
    "past": DECODERS,
    "source": ENCODER_DECODERS,
    "sides": (),
    "any": (*ENCODERS, *DECODERS),
}
"""Which layouts there are for what a model is to read; an objective that needs neither side takes one stack."""


def chosen_settings(
    model: ModelSettings, vocabulary_size: int, *, needs: Reads = "both", length: int | None = None
) -> BackboneSettings:
    """The settings of the backbone that the dial and its overrides name, of the kind that an objective needs.

    It can read rows of ``length`` tokens, learnt positions or not.
    """
    _refuse_layout(model, needs)
    if needs == "source":
        if model.backbone != "transformer":
            raise SettingsError(
                f"model.backbone = '{model.backbone}' cannot read a source and write a target; choose transformer"
            )
        build = ENCODER_DECODERS[model.layout] if model.layout is not None else encoder_decoder_settings
        pair = build(model.size, vocabulary_size)
        halves = (_fitted(half, model, length) for half in (pair.encoder, pair.decoder))
        return EncoderDecoderSettings.of(*halves)
    layout = model.layout or ("llama" if needs == "past" else "modernbert")
    transformer = _fitted((ENCODERS | DECODERS)[layout](model.size, vocabulary_size), model, length)
    return transformer if model.backbone == "transformer" else _baseline(transformer, model)


def chosen_picture_settings(model: ModelSettings, patches: Patches) -> BackboneSettings:
    """A Transformer in ViT's layout over such patches, with what the user knows better, or a baseline of its size."""
    if model.layout is not None:
        raise SettingsError(f"model.layout = '{model.layout}' reads no patches; leave it out for pictures")
    shape = PatchSettings(
        rows=patches.rows,
        columns=patches.columns,
        side=patches.side,
        channels=patches.channels,
        slices=patches.slices,
    )
    if model.positions is not None or model.window:
        name = "positions" if model.positions is not None else "window"
        raise SettingsError(
            f"model.{name} is of texts: patches have learnt positions and look everywhere; leave it out"
        )
    transformer = _overridden(picture_settings(model.size, shape), model)
    return transformer if model.backbone == "transformer" else _baseline(transformer, model)


def _baseline(settings: TransformerSettings, model: ModelSettings) -> BackboneSettings:
    """A baseline beside such a Transformer, of the kind that the user chose."""
    assert model.backbone != "transformer"
    found = matched_to(settings, model.backbone)
    asked = {name: value for name in ("cell", "attention") if (value := getattr(model, name)) is not None}
    if not asked or not isinstance(found, RecurrentSettings):
        return found
    target = cost_of(settings, length=1).body_parameters
    return matched_hidden(dataclasses.replace(found, **asked), target)


def matched_to(
    settings: BackboneSettings, kind: BaselineKind, *, causal: bool | None = None
) -> BackboneSettings:
    """A baseline of another kind: the same vocabulary and width, parameters besides embeddings within 5 %.

    It reads the past alone if ``causal``, or, where nothing is said, if the Transformer does.
    """
    target = cost_of(settings, length=1).body_parameters
    if causal is None:
        causal = isinstance(settings, TransformerSettings) and settings.causal
    return matched_settings(
        target,
        kind,
        settings.vocabulary_size,
        width=settings.width,
        causal=causal,
        patches=settings.patches,
    )


def pretraining_model(
    model: ModelSettings, tokenizer: Tokenizer, pretext: Pretext, *, length: int | None, seed: int
) -> Model:
    """A fresh model that reads what the pretext task needs, with the head that it trains."""
    if pretext.wants_dropout and model.dropout is None:
        model = dataclasses.replace(model, dropout=DROPOUT_OF_VIEWS)
    settings = chosen_settings(model, tokenizer.size, needs=pretext.needs, length=length)
    return build_model(settings, head=pretext.head or _own_head(pretext, settings), seed=seed)


def continued_model(parent: str, pretext: Pretext, settings: RunSettings) -> Model:
    """The model of an earlier run, its weights included; a head of the same task goes on as well.

    It is drawn out to pictures of another size where the settings ask for that.
    """
    seed = settings.training.seed
    shares = settings.model.shares
    bundle = load_bundle(model_folder(Path(parent)), shares)
    if pretext.wants_dropout and getattr(bundle.settings, "residual_dropout", None) == 0.0:
        shares = {"dropout": DROPOUT_OF_VIEWS} | shares
        bundle = load_bundle(bundle.folder, shares)
    model = bundle.model
    if bundle.settings.patches is not None:
        start = StartingPoint.of_run(parent, shares=shares)
        other = resized(start, settings)
        if other is not start:
            if model.heads:
                raise SettingsError(
                    f"{parent} has a head for {', '.join(model.heads)} over pictures of one size; to go on in another "
                    "size, continue the run that it began from"
                )
            model = other.model(None, seed=seed)
    if pretext.head is not None and pretext.head not in model.heads:
        if model.heads:
            raise SettingsError(
                f"{parent} was made for {', '.join(model.heads)}, not for {pretext.head}; go on with that "
                "(--objective), or continue a run that was only pre-trained"
            )
        model.add_head(pretext.head, seed=seed)
    return model


def _own_head(pretext: Pretext, settings: BackboneSettings) -> str | None:
    """A head that an objective would throw away, where the model's layout has a place for it."""
    own = pretext.own_head
    return own if own is not None and has_home(settings, HeadSettings(name=own)) else None


def _refuse_layout(model: ModelSettings, needs: Reads) -> None:
    if model.layout is None:
        return
    if model.backbone != "transformer":
        raise SettingsError(
            f"model.layout = '{model.layout}' is a Transformer's, and model.backbone = '{model.backbone}' is none; "
            "leave one of them out"
        )
    fitting = LAYOUTS_THAT_READ[needs]
    if model.layout not in fitting:
        reads = next(READS[kind] for kind, layouts in LAYOUTS_THAT_READ.items() if model.layout in layouts)
        raise SettingsError(
            f"model.layout = '{model.layout}' reads {reads}, and a model is needed that reads {READS[needs]}; "
            f"choose {' or '.join(fitting)}, or leave it out"
        )


def _fitted(settings: TransformerSettings, model: ModelSettings, length: int | None) -> TransformerSettings:
    """A stack with what the user knows better, whose table of positions reaches as far as rows of ``length`` tokens."""
    settings = _overridden(settings, model)
    if not settings.positions.startswith(("learned", "sinusoidal")):
        return settings
    return dataclasses.replace(settings, max_length=max(settings.max_length, length or 0))


def _overridden(settings: TransformerSettings, model: ModelSettings) -> TransformerSettings:
    """A stack with what the user knows better; what follows from the width follows the new one."""
    asked = {name: value for name in _AS_NAMED if (value := getattr(model, name)) is not None}
    if model.dropout is not None:
        asked |= {"residual_dropout": model.dropout, "embedding_dropout": model.dropout}
    if model.norm_position == "after":
        asked |= {"first_attention_norm": True, "final_norm": False}
    width, kind = asked.get("width", settings.width), asked.get("feed_forward", settings.feed_forward)
    if (width, kind) != (settings.width, settings.feed_forward):
        asked.setdefault("feed_forward_width", feed_forward_width(kind, width))
        asked["embedding_scale"] = 1.0 if settings.embedding_scale == 1.0 else width**0.5
    if model.backbone == "transformer" and model.attention is not None:
        asked["attention"] = model.attention
    if model.attention == "linear" and not model.window:  # sums have no windows
        asked["windows"] = ()
    elif settings.windows or model.window:
        reach = USUAL_WINDOW if model.window is None else model.window or None
        depth = asked.get("depth", settings.depth)
        windows = tuple(None if number % 3 == 0 else reach for number in range(depth))
        asked["windows"] = windows if any(windows) else ()
    return dataclasses.replace(settings, **asked)


_AS_NAMED = (
    *(name for name in STACKED if name != "window"),
    "width",
    "depth",
    "num_heads",
    "feed_forward_width",
)
"""Settings of a model that a Transformer has by the same name."""
