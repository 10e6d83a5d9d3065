"""Which head a task ships, in the shape that the backbone's published layout gives it.

| style | masked_tokens, next_token | classification, regression | tagging, question_answering |
|---|---|---|---|
| modernbert: layer norm | dense, GELU, norm, tied; tied | pool, dense, GELU, norm, classifier | no pool |
| eurobert: RMS norm, both sides | tied | pool, dense with bias, GELU, classifier | classifier |
| llama: RMS norm, the past | tied | last token, classifier without bias | classifier |
| marian: encoder-decoder, norms behind | tied, with a bias | as modernbert | classifier |
| m2m_100: encoder-decoder, norms in front | tied | as modernbert | classifier |
"""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.settings import EncoderDecoderSettings, TransformerSettings
from headwater.nn.heads import (
    HeadTransform,
    LateSequenceHead,
    SequenceHead,
    TaggingHead,
    TiedDecoder,
    TokenHead,
)
from headwater.nn.norm import NormKind, build_norm
from headwater.nn.pooling import PoolingKind, build_pooling
from headwater.settings import unknown_choice

PoolingChoice = Literal["default", "late", "mean", "first", "last", "max", "attention"]
HeadStyle = Literal["modernbert", "eurobert", "llama", "marian", "m2m_100"]
HEADS = ("masked_tokens", "next_token", "classification", "regression", "tagging", "question_answering")
BORDERS = 2
"""What a question_answering head says of every token: whether an answer begins there, whether it ends there."""


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """What a head needs besides its backbone.

    ``pooling`` "default" means the mean, or the last token where a backbone reads the past alone; "late" pools the
    classifier's answers of all tokens (EuroBERT). ``tied`` False gives a token head its own output matrix.
    """

    name: str
    classes: int | None = None
    pooling: PoolingChoice = "default"
    dropout: float = 0.0
    tied: bool = True

    def __post_init__(self) -> None:
        if self.name not in HEADS:
            raise SettingsError(unknown_choice("head", self.name, HEADS))
        if self.name in ("classification", "tagging") and (self.classes is None or self.classes < 1):
            raise SettingsError(f"a {self.name} head needs the number of its classes; found {self.classes}")
        if self.pooling not in get_args(PoolingChoice):
            raise SettingsError(unknown_choice("pooling", str(self.pooling), get_args(PoolingChoice)))
        if not 0.0 <= self.dropout < 1.0:
            raise SettingsError(f"dropout={self.dropout} is not a probability below 1; choose 0 … 0.99")


def style_of(backbone: Backbone) -> HeadStyle:
    """Whose heads a backbone wears; baselines wear ModernBERT's, so that arms differ in the body alone."""
    settings = getattr(backbone, "settings", None)
    if isinstance(settings, EncoderDecoderSettings):
        return "marian" if settings.decoder.norm_position == "after" else "m2m_100"
    if isinstance(settings, TransformerSettings) and settings.norm == "rms":
        return "llama" if settings.causal else "eurobert"
    return "modernbert"


def build_head(backbone: Backbone, settings: HeadSettings) -> nn.Module:
    """The head of that name, in the backbone's style; its weights are as torch drew them."""
    style = style_of(backbone)
    if settings.name in ("masked_tokens", "next_token"):
        return _token_head(backbone, settings, style)
    classes = BORDERS if settings.name == "question_answering" else settings.classes or 1
    if settings.name in ("tagging", "question_answering"):
        transform = _transform(backbone) if style == "modernbert" else None
        return TaggingHead(backbone.width, classes, transform, dropout=settings.dropout)
    return _sequence_head(backbone, settings, classes, style)


def _token_head(backbone: Backbone, settings: HeadSettings, style: HeadStyle) -> TokenHead:
    rich = style == "modernbert" and settings.name == "masked_tokens"
    bias = rich or style == "marian"
    decoder = (
        TiedDecoder(backbone.token_embedding, bias=bias)
        if settings.tied
        else nn.Linear(backbone.width, backbone.vocabulary_size, bias=bias)
    )
    return TokenHead(decoder, _transform(backbone) if rich else None)


def _sequence_head(
    backbone: Backbone, settings: HeadSettings, classes: int, style: HeadStyle
) -> SequenceHead:
    variant = LateSequenceHead if settings.pooling == "late" else SequenceHead
    transforms = {
        "modernbert": lambda: _transform(backbone),
        "eurobert": lambda: HeadTransform(backbone.width, nn.Identity(), bias=True),
        "llama": lambda: None,
        "marian": lambda: _transform(backbone),
        "m2m_100": lambda: _transform(backbone),
    }
    return variant(
        backbone.width,
        classes,
        build_pooling(_pooling_kind(settings.pooling, backbone), backbone.width),
        transforms[style](),
        dropout=settings.dropout,
        bias=style != "llama",
    )


def _pooling_kind(pooling: PoolingChoice, backbone: Backbone) -> PoolingKind:
    if pooling == "default":
        return "last" if backbone.reads == "past" else "mean"
    return "mean" if pooling == "late" else pooling


def _transform(backbone: Backbone) -> HeadTransform:
    settings = getattr(backbone, "settings", None)
    norm: NormKind = settings.norm if isinstance(settings, TransformerSettings) else "layer_without_bias"
    epsilon = settings.norm_epsilon if isinstance(settings, TransformerSettings) else 1e-5
    return HeadTransform(backbone.width, build_norm(norm, backbone.width, epsilon))
