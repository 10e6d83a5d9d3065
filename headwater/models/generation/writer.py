"""A model in the middle of its texts: fed the tokens that were chosen, it scores the next ones.

Shape letters: B rows, T new tokens, S source tokens, C width, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.assembly import assemble
from headwater.errors import UsageError
from headwater.models.backbone import Backbone
from headwater.models.model import Model
from headwater.models.rounding import Numbers
from headwater.models.settings import TransformerSettings
from headwater.models.transformer import TransformerBackbone, TransformerEncoderDecoder
from headwater.nn.attention import KeyValueCache
from headwater.nn.block import BlockCache
from headwater.sequence import PADDING, SequenceLayout

Tokens = NDArray[np.int64]
Source = NDArray[Any]
"""Tokens (S,), or the patches of a picture (S, P)."""
HEAD = "next_token"


class Prompt(NamedTuple):
    """What a text begins with, and the source that it is written from where there is one; special tokens included.

    ``most`` is how many tokens may be written to this one, where that is fewer than all may have.
    """

    tokens: Tokens
    source: Source | None = None
    most: int | None = None

    def room(self, most: int) -> int:
        """How many tokens may be written to it, where no text may have more than ``most``."""
        return most if self.most is None else min(most, self.most)


class Writer(ABC):
    """Rows of text in the making."""

    @abstractmethod
    def feed(self, tokens: Tensor, counts: Tensor | None = None) -> Tensor:
        """Read new tokens (B, T), of which the first ``counts`` (B,) are real, and score the next: (B, V)."""

    @abstractmethod
    def select(self, rows: Tensor, *, beams: int = 1) -> None:
        """Go on with these rows, in this order; a row may be dropped or doubled.

        ``beams`` rows, one behind the other, are written from one source from now on.
        """

    @abstractmethod
    def admit(self, other: "Writer", *, room: int) -> None:
        """Take over the rows of another writer of the same model, behind the own ones; ``room`` tokens may follow."""


class CachedWriter(Writer):
    """A Transformer that keeps the keys and values of what it has read."""

    _beams = 1  # rows that are written from one source

    def __init__(self, model: Model, rows: int, capacity: int) -> None:
        backbone = model.backbone
        assert isinstance(backbone, TransformerBackbone)
        self._model, self._backbone, self._numbers = model, backbone, Numbers.of(model)
        self._caches = _caches(backbone.settings, rows, capacity, memory=0, numbers=self._numbers)
        self._lengths = torch.zeros(rows, dtype=torch.long, device=self._numbers.device)

    def feed(self, tokens: Tensor, counts: Tensor | None = None) -> Tensor:
        """One pass over the new tokens alone."""
        layout = _new_layout(tokens, counts, self._lengths)
        with self._numbers.products():
            hidden_states = self._hidden(tokens, layout)
            scores = self._model.heads[HEAD](_last(hidden_states, counts))
        self._lengths = self._lengths + (tokens.shape[1] if counts is None else counts)
        return scores.float()

    def select(self, rows: Tensor, *, beams: int = 1) -> None:
        """Drop and double rows of every cache; what is held of a source is held once for all its beams."""
        sources = rows[::beams] // self._beams
        moved = len(sources) * self._beams != len(self._lengths) or bool((sources.diff() != 1).any())
        self._lengths, self._beams = self._lengths[rows], beams
        for cache in self._caches:
            cache.own.select(rows)
            if cache.memory is not None and moved:
                cache.memory.select(sources)

    def admit(self, other: Writer, *, room: int) -> None:
        """Lay the caches beside each other."""
        assert isinstance(other, CachedWriter), "writers of one model are of one kind"
        self._lengths = torch.cat((self._lengths, other._lengths))
        for mine, theirs in zip(self._caches, other._caches, strict=True):
            mine.own.admit(theirs.own, room=room)
            if mine.memory is not None and theirs.memory is not None:
                mine.memory.admit(theirs.memory, room=0)

    def _hidden(self, tokens: Tensor, layout: SequenceLayout) -> Tensor:
        return self._backbone.encode(self._backbone.embed(tokens, layout), layout, caches=self._caches)


class CachedTranslator(CachedWriter):
    """An encoder-decoder: the source is read once, its keys and values are kept as well."""

    def __init__(self, model: Model, sources: Sequence[Source], capacity: int, padding: int) -> None:
        backbone = model.backbone
        assert isinstance(backbone, TransformerEncoderDecoder)
        self._model, self._translator, self._numbers = model, backbone, Numbers.of(model)
        inputs, layout = _padded(sources, padding, self._numbers.device)
        with self._numbers.products():
            self._memory = backbone.encode(backbone.embed(inputs, layout), layout), layout
        settings, width = backbone.settings.decoder, inputs.shape[1]
        self._caches = _caches(settings, len(sources), capacity, memory=width, numbers=self._numbers)
        self._lengths = torch.zeros(len(sources), dtype=torch.long, device=self._numbers.device)

    def _hidden(self, tokens: Tensor, layout: SequenceLayout) -> Tensor:
        embedded = self._translator.embed_target(tokens, layout)
        # Only the first call reads the memory itself; later ones find its keys and values in the caches.
        return self._translator.decode(embedded, layout, *self._memory, cache=self._caches)


class RecomputingWriter(Writer):
    """Any model that reads the past, without a cache: all tokens are read again at every step."""

    def __init__(self, model: Model, rows: int, padding: int) -> None:
        self._model, self._padding, self._numbers = model, padding, Numbers.of(model)
        self._texts: list[Tokens] = [np.zeros(0, np.int64)] * rows

    def feed(self, tokens: Tensor, counts: Tensor | None = None) -> Tensor:
        """One pass over everything read so far."""
        sizes = [tokens.shape[1]] * len(tokens) if counts is None else counts.tolist()
        new = [row[:size] for row, size in zip(tokens.cpu().numpy(), sizes, strict=True)]
        self._texts = [np.concatenate(parts) for parts in zip(self._texts, new, strict=True)]
        inputs, layout = _padded(self._texts, self._padding, tokens.device)
        with self._numbers.products():
            hidden_states = self._model.backbone(inputs, layout)
            scores = self._model.heads[HEAD](_last(hidden_states, layout.real.sum(dim=1)))
        return scores.float()

    def select(self, rows: Tensor, *, beams: int = 1) -> None:
        """Drop and double texts."""
        del beams  # nothing of a source is held
        self._texts = [self._texts[row] for row in rows.tolist()]

    def admit(self, other: Writer, *, room: int) -> None:
        """Put the texts together."""
        assert isinstance(other, RecomputingWriter), "writers of one model are of one kind"
        del room  # nothing is allocated ahead
        self._texts = [*self._texts, *other._texts]


def writer_for(
    model: Model, prompts: Sequence[Prompt], *, room: int, padding: int, cached: bool = True
) -> tuple[Writer, Tensor]:
    """A writer that has read these prompts and has room for ``room`` more tokens, and its first scores (B, V).

    A prompt that says itself how many tokens may follow it has room for so many.

    Raises UsageError for a model that cannot write, for prompts without the source that it needs, and for texts that
    would reach beyond the last of its learnt positions.
    """
    device = _device(model)
    texts = [prompt.tokens for prompt in prompts]
    if reason := next(filter(None, (beyond_positions(model, prompt, room) for prompt in prompts)), ""):
        raise UsageError(reason)
    sources = [prompt.source for prompt in prompts if prompt.source is not None]
    capacity = max(map(len, texts)) + max(prompt.room(room) for prompt in prompts)
    writer = _writer(model, sources, len(prompts), capacity, padding, cached=cached)
    inputs, layout = _padded(texts, padding, device)
    counts = None if layout.uniform else torch.tensor([len(text) for text in texts], device=device)
    return writer, writer.feed(inputs, counts)


def beyond_positions(model: Model, prompt: Prompt, room: int) -> str:
    """Why a text begun so cannot be written; "" where it stays within the positions that the model has learnt."""
    begun, more, learnt = len(prompt.tokens), prompt.room(room), model.backbone.longest_row
    if learnt is None or begun + more - 1 <= learnt:  # the last token that is written is never read
        return ""
    left = learnt + 1 - begun
    return (
        f"a prompt of {begun} tokens and {more} more go beyond the {learnt} positions that the model has learnt; "
        + (f"ask for {left} or fewer (--max-tokens {left})" if left > 0 else "shorten the prompt")
    )


def require_writer(model: Model) -> None:
    """Refuse a model that cannot write."""
    if HEAD not in model.heads:
        raise UsageError(
            f"a model made for {', '.join(model.heads) or 'no task'} cannot write; expected one made with "
            "--objective next_token, or fine-tuned to translate, summarise or generate"
        )


def _writer(
    model: Model, sources: Sequence[Source], rows: int, capacity: int, padding: int, *, cached: bool
) -> Writer:
    backbone: Backbone = model.backbone
    require_writer(model)
    if isinstance(backbone, TransformerEncoderDecoder):
        if len(sources) != rows:
            raise UsageError(
                f"found {rows} prompts with {len(sources)} sources; expected one source for each"
            )
        return CachedTranslator(model, sources, capacity, padding)
    if backbone.reads != "past":
        raise UsageError("a model that reads both sides cannot write; pre-train with --objective next_token")
    if isinstance(backbone, TransformerBackbone) and cached:
        return CachedWriter(model, rows, capacity)
    return RecomputingWriter(model, rows, padding)


def _caches(
    settings: TransformerSettings, rows: int, capacity: int, *, memory: int, numbers: Numbers
) -> list[BlockCache]:
    own, read = object(), object()

    def cache(room: int, company: object) -> KeyValueCache:
        return KeyValueCache(
            rows,
            room,
            settings.key_value_heads,
            settings.head_width,
            dtype=numbers.held,
            device=numbers.device,
            company=company,
        )

    return [
        BlockCache(cache(capacity, own), cache(memory, read) if memory else None)
        for _ in range(settings.depth)
    ]


def _device(model: Model) -> torch.device:
    return next(model.parameters()).device


def _padded(texts: Sequence[Source], padding: int, device: torch.device) -> tuple[Tensor, SequenceLayout]:
    if texts[0].ndim > 1:  # all pictures are as long
        patches = torch.from_numpy(np.stack(texts)).to(device)
        return patches, SequenceLayout.dense(*patches.shape[:2], device=device)
    lengths = np.array([len(text) for text in texts], np.int64)
    sizes = np.ones(len(texts), np.int64)
    inputs, layout = assemble(
        np.concatenate(texts), lengths, row_sizes=sizes, width=int(lengths.max()), padding=padding
    )
    return inputs.to(device), layout.to(device)


def _new_layout(tokens: Tensor, counts: Tensor | None, lengths: Tensor) -> SequenceLayout:
    """The layout of tokens that follow ``lengths`` (B,) tokens read before."""
    steps = torch.arange(tokens.shape[1], device=tokens.device)
    positions = lengths[:, None] + steps
    if counts is None:
        return SequenceLayout(torch.zeros_like(positions), positions, uniform=True, contiguous=True)
    documents = torch.where(steps < counts[:, None], 0, PADDING)
    return SequenceLayout(documents, positions, contiguous=True)


def _last(hidden_states: Tensor, counts: Tensor | None) -> Tensor:  # (B, T, C) → (B, C)
    if counts is None:
        return hidden_states[:, -1]
    rows = torch.arange(len(hidden_states), device=hidden_states.device)
    return hidden_states[rows, counts - 1]
