"""Whose heads a model wears: what each published layout puts between a backbone and its answers.

| style | masked_tokens, next_token | classification, regression | tagging, question_answering |
|---|---|---|---|
| modernbert: layer norm | dense, GELU, norm, tied; tied | pool, dense, GELU, norm, classifier | no pool |
| eurobert: RMS norm, both sides | tied | pool, dense with bias, GELU, classifier | classifier |
| llama: RMS norm, the past | tied | last, classifier without bias | classifier |
| bert, by name | dense with bias, GELU, norm, tied; tied | first, dense with bias, tanh, classifier | classifier |
| electra, by name | as bert | first, dense with bias, GELU, classifier | classifier |
| gpt2, by name | tied | last, classifier without bias | classifier |
| marian: encoder-decoder, norms behind | tied, with a bias | as modernbert | classifier |
| bart: the same, and a norm behind the embedding | tied, with a bias | as modernbert | classifier |
| m2m_100: encoder-decoder, norms in front | tied | as modernbert | classifier |
| t5: encoder-decoder, RMS norm | a matrix of its own | as modernbert | classifier |
| vit: patches | | first and mean, classifier | |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.models.settings import EncoderDecoderSettings, PatchSettings, TransformerSettings
from headwater.nn.pooling import PoolingKind

HeadStyle = Literal[
    "modernbert", "eurobert", "llama", "bert", "electra", "gpt2", "marian", "bart", "m2m_100", "t5", "vit"
]


class Step(NamedTuple):
    """A linear map, an activation, perhaps a norm: what hidden states pass on their way to an answer."""

    norm: bool
    bias: bool
    activation: Callable[[Tensor], Tensor] = F.gelu


PLAIN = Step(norm=False, bias=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """The steps in front of hidden words, of one answer a document, of one answer a token; None where there is none.

    ``next_tied`` False means that next words have an output matrix of their own, unless a head is asked for otherwise.
    ``pooling`` None means the last token where a backbone reads the past alone, the mean elsewhere.
    """

    words: Step | None = None
    word_bias: bool = False
    next_tied: bool = True
    documents: Step | None = None
    tokens: Step | None = None
    pooling: PoolingKind | None = None
    classifier_bias: bool = True


_WITH_NORM = Step(norm=True, bias=False)
_WITH_BOTH = Step(norm=True, bias=True)

STYLES: Mapping[HeadStyle, Style] = {
    "modernbert": Style(words=_WITH_NORM, documents=_WITH_NORM, tokens=_WITH_NORM),
    "eurobert": Style(documents=PLAIN),
    "llama": Style(classifier_bias=False),
    "bert": Style(words=_WITH_BOTH, documents=PLAIN._replace(activation=torch.tanh), pooling="first"),
    "electra": Style(words=_WITH_BOTH, documents=PLAIN, pooling="first"),
    "gpt2": Style(classifier_bias=False),
    "marian": Style(word_bias=True, documents=_WITH_NORM),
    "bart": Style(word_bias=True, documents=_WITH_NORM),
    "m2m_100": Style(documents=_WITH_NORM),
    "t5": Style(next_tied=False, documents=_WITH_NORM),
    "vit": Style(pooling="first_and_mean"),
}


def style_of(settings: object) -> HeadStyle:
    """Whose heads go with a backbone's settings; baselines wear ModernBERT's, so that arms differ in the body alone."""
    match settings:
        case EncoderDecoderSettings(decoder=TransformerSettings(norm="rms")):
            return "t5"
        case EncoderDecoderSettings(decoder=TransformerSettings(norm_position="after")):
            return "bart" if settings.decoder.embedding_norm else "marian"
        case EncoderDecoderSettings():
            return "m2m_100"
        case TransformerSettings(patches=PatchSettings()):
            return "vit"
        case TransformerSettings(layout=str(layout)):
            return layout
        case TransformerSettings(norm="rms"):
            return "llama" if settings.causal else "eurobert"
        case _:
            return "modernbert"
