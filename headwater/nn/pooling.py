"""One vector for a document. Shape letters: B rows (one document each), T tokens, C width."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.sequence import SequenceLayout

PoolingKind = Literal["mean", "first", "last", "max", "attention", "first_and_mean"]
POOLING_KINDS: tuple[PoolingKind, ...] = get_args(PoolingKind)


class MeanPooling(nn.Module):
    """The mean of a document's tokens; zero for a row without tokens."""

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (B, C)
        if layout.uniform:
            return hidden_states.mean(1)
        real = layout.real.to(hidden_states.dtype)
        # A product with zeros and ones copies nothing, and the division comes after the sum: 1/n is not
        # exact in bf16.
        total = torch.bmm(real[:, None], hidden_states).squeeze(1)
        return total / real.sum(1, keepdim=True).clamp(min=1).to(total.dtype)


class FirstPooling(nn.Module):
    """The first token of a document, where BERT-like encoders put [CLS]."""

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (B, C)
        if layout.uniform:
            return hidden_states[:, 0]
        first = layout.real.int().argmax(1)
        return hidden_states[torch.arange(len(first), device=first.device), first]


class LastPooling(nn.Module):
    """The last token of a document: where a backbone reads the past, the only one that has read all of it."""

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (B, C)
        if layout.uniform:
            return hidden_states[:, -1]
        places = torch.arange(layout.real.shape[1], device=hidden_states.device)
        last = (layout.real * places).argmax(1)
        return hidden_states[torch.arange(len(last), device=last.device), last]


class MaxPooling(nn.Module):
    """The largest value of each feature over a document's tokens; zero for a row without tokens."""

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (B, C)
        if layout.uniform:
            return hidden_states.amax(1)
        largest = hidden_states.masked_fill(~layout.real[..., None], float("-inf")).amax(1)
        return torch.where(layout.real.any(1, keepdim=True), largest, 0.0)


class AttentionPooling(nn.Module):
    """A weighted mean whose weights are learnt: α = softmax(v · tanh(W h + b)) over a document's tokens.

    Source: Yang et al. 2016, equations 5–7, doi:10.18653/v1/N16-1174.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (B, C)
        scores = self.score(torch.tanh(self.dense(hidden_states))).squeeze(-1).float()
        # A row without tokens would be a softmax over nothing (NaN): it gets equal weights and is then
        # emptied.
        empty = ~layout.real.any(1, keepdim=True)
        weights = scores.masked_fill(~(layout.real | empty), float("-inf")).softmax(1).masked_fill(empty, 0.0)
        return torch.bmm(weights.to(hidden_states.dtype)[:, None], hidden_states).squeeze(1)


class FirstAndMeanPooling(nn.Module):
    """[CLS], and the mean of the patches behind it.

    Source: Oquab et al. 2023, section 7.1, arXiv:2304.07193.
    """

    parts = 2

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, 1 + N, C) → (B, 2C)
        if layout.uniform and hidden_states.shape[1] > 1:
            return torch.cat((hidden_states[:, 0], hidden_states[:, 1:].mean(1)), dim=1)
        first = FirstPooling()(hidden_states, layout)
        real = layout.real.to(hidden_states.dtype)
        others = torch.bmm(real[:, None], hidden_states).squeeze(1) - first
        count = real.sum(1, keepdim=True)
        mean = others / (count - 1).clamp(min=1).to(others.dtype)
        return torch.cat((first, mean), dim=1) * (count > 0)


Pooling = FirstAndMeanPooling | MeanPooling | FirstPooling | LastPooling | MaxPooling | AttentionPooling


def build_pooling(kind: PoolingKind, width: int) -> Pooling:
    """The pooling of that name; ``width`` matters to attention pooling alone."""
    match kind:
        case "mean":
            return MeanPooling()
        case "first":
            return FirstPooling()
        case "last":
            return LastPooling()
        case "max":
            return MaxPooling()
        case "attention":
            return AttentionPooling(width)
        case "first_and_mean":
            return FirstAndMeanPooling()
        case _:
            raise SettingsError(f"pooling={kind!r} does not exist; choose one of {', '.join(POOLING_KINDS)}")
