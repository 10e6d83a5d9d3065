"""Which head a task ships, in the shape that the backbone's published layout gives it (``styles.py``)."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.settings import TransformerSettings
from headwater.models.styles import PLAIN, STYLES, Step, Style, style_of
from headwater.models.two_towers import TwoTowers
from headwater.nn.heads import (
    HeadTransform,
    JointHead,
    LateSequenceHead,
    Scaled,
    SequenceHead,
    TaggingHead,
    TiedDecoder,
    TokenHead,
)
from headwater.nn.norm import NormKind, build_norm
from headwater.nn.pooling import PoolingKind, build_pooling
from headwater.settings import unknown_choice

PoolingChoice = Literal["default", "late", "mean", "first", "last", "max", "attention", "first_and_mean"]
HEADS = (
    *("masked_tokens", "next_token", "replaced_token"),
    *("classification", "regression", "tagging", "question_answering"),
)
BORDERS = 2
"""What a question_answering head says of every token: whether an answer begins there, whether it ends there."""


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """What a head needs besides its backbone.

    ``pooling`` "default" means the mean, the last token where a backbone reads the past alone, the first in BERT's
    and ELECTRA's layouts, [CLS] and the mean of the patches of pictures; "late" pools the classifier's answers of all
    tokens (EuroBERT). ``tied`` False gives a token head its own output matrix; ``scale`` multiplies the hidden states
    in front of it.
    """

    name: str
    classes: int | None = None
    pooling: PoolingChoice = "default"
    dropout: float = 0.0
    tied: bool = True
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in HEADS:
            raise SettingsError(unknown_choice("head", self.name, HEADS))
        if self.name in ("classification", "tagging") and (self.classes is None or self.classes < 1):
            raise SettingsError(f"a {self.name} head needs the number of its classes; found {self.classes}")
        if self.pooling not in get_args(PoolingChoice):
            raise SettingsError(unknown_choice("pooling", str(self.pooling), get_args(PoolingChoice)))
        if not 0.0 <= self.dropout < 1.0:
            raise SettingsError(f"dropout={self.dropout} is not a probability below 1; choose 0 … 0.99")
        if not 0.0 < self.scale < float("inf"):
            raise SettingsError(f"scale={self.scale}; expected a number above 0")
        if self.scale != 1.0 and self.name != "next_token":
            raise SettingsError(
                f"scale={self.scale} is for a next_token head, not for {self.name}; leave it out"
            )


def usual_head(backbone: Backbone, name: str, **options: Any) -> HeadSettings:
    """The head of that name as the backbone's style has it, but for ``options``."""
    usual: dict[str, Any] = {"tied": _style(backbone).next_tied} if name == "next_token" else {}
    return HeadSettings(name=name, **(usual | options))


def build_head(backbone: Backbone, settings: HeadSettings) -> nn.Module:
    """The head of that name, in the backbone's style; its weights are as torch drew them."""
    if isinstance(backbone, TwoTowers):
        return _joint_head(backbone, settings)
    style = _style(backbone)
    match settings.name:
        case "masked_tokens" | "next_token":
            return _token_head(backbone, settings, style)
        case "replaced_token":  # one bit a token: a positive score says that the word is not the author's
            return TaggingHead(backbone.width, 1, _transform(backbone, PLAIN), dropout=settings.dropout)
        case "tagging" | "question_answering":
            classes = BORDERS if settings.name == "question_answering" else settings.classes or 1
            transform = _transform(backbone, style.tokens)
            return TaggingHead(backbone.width, classes, transform, dropout=settings.dropout)
        case _:
            return _sequence_head(backbone, settings, style)


def _style(backbone: Backbone) -> Style:
    return STYLES[style_of(getattr(backbone, "settings", None))]


def _token_head(backbone: Backbone, settings: HeadSettings, style: Style) -> TokenHead:
    step = style.words if settings.name == "masked_tokens" else None
    bias = step is not None or style.word_bias
    table = backbone.token_embedding
    if step is None and table.embedding_dim != backbone.width:
        raise SettingsError(
            f"a table of width {table.embedding_dim} cannot decode hidden states of width {backbone.width}: this "
            f"layout's {settings.name} head has no map between them; leave embedding_width out"
        )
    decoder = (
        TiedDecoder(table, bias=bias)
        if settings.tied
        else nn.Linear(table.embedding_dim, backbone.vocabulary_size, bias=bias)
    )
    if settings.scale != 1.0:
        return TokenHead(decoder, Scaled(settings.scale))
    return TokenHead(decoder, _transform(backbone, step, outputs=table.embedding_dim))


def _joint_head(towers: TwoTowers, settings: HeadSettings) -> JointHead:
    if settings.name not in ("classification", "regression"):
        raise SettingsError(
            f"two towers answer by classification or regression of both sides together, not by {settings.name}"
        )
    return JointHead(towers.features_width, settings.classes or 1, dropout=settings.dropout)


def _sequence_head(backbone: Backbone, settings: HeadSettings, style: Style) -> SequenceHead:
    variant = LateSequenceHead if settings.pooling == "late" else SequenceHead
    return variant(
        backbone.width,
        settings.classes or 1,
        build_pooling(_pooling_kind(settings.pooling, style, backbone), backbone.width),
        _transform(backbone, style.documents),
        dropout=settings.dropout,
        bias=style.classifier_bias,
    )


def _pooling_kind(pooling: PoolingChoice, style: Style, backbone: Backbone) -> PoolingKind:
    if pooling == "default":
        return style.pooling or ("last" if backbone.reads == "past" else "mean")
    return "mean" if pooling == "late" else pooling


def _transform(backbone: Backbone, step: Step | None, *, outputs: int | None = None) -> HeadTransform | None:
    if step is None:
        return None
    settings = getattr(backbone, "settings", None)
    kind: NormKind = settings.norm if isinstance(settings, TransformerSettings) else "layer_without_bias"
    epsilon = settings.norm_epsilon if isinstance(settings, TransformerSettings) else 1e-5
    norm = build_norm(kind, outputs or backbone.width, epsilon) if step.norm else nn.Identity()
    return HeadTransform(backbone.width, norm, activation=step.activation, bias=step.bias, outputs=outputs)
