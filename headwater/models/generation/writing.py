"""Many texts written at a time: rows that end make room for the next prompts while the others go on."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from headwater.models.generation.beam import BeamSearch, Hypothesis
from headwater.models.generation.sampling import Sampling
from headwater.models.generation.streaming import TextStream
from headwater.models.generation.writer import Prompt, Writer, writer_for
from headwater.models.model import Model

ROWS = 32
"""Texts written at a time."""
_FREE_SHARE = 4  # new prompts are read when a quarter of the rows is free: reading moves every cache


class Written(NamedTuple):
    """One token of a text: which text, the token (None when the text ended with [SEP]), the new text, and the end."""

    item: int
    token: int | None
    text: str
    ended: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """When a text ends: at the token ``end``, before one of ``stops``, or after ``most`` tokens, or as many as its
    prompt allows where these are fewer.

    ``pieces`` are the bytes of every token; ``padding`` is the token that fills rows.
    """

    end: int
    padding: int
    most: int
    pieces: Sequence[bytes]
    stops: tuple[str, ...] = ()

    def stopped(self, tokens: Sequence[int]) -> bool:
        """Whether one of ``stops`` stands in the text of these tokens."""
        text = b"".join(self.pieces[token] for token in tokens).decode("utf-8", "replace")
        return any(stop in text for stop in self.stops if stop)


@dataclass(slots=True)
class OpenText:
    """A text of at most ``most`` tokens that is being written to prompt number ``item``.

    ``tokens`` are the prompt's and the written ones: what rules of repetition look at.
    """

    item: int
    tokens: list[int]
    stream: TextStream
    most: int
    written: int = 0

    @classmethod
    def of(cls, item: int, prompt: Prompt, ending: Ending) -> "OpenText":
        """Nothing is written yet."""
        stream = TextStream(ending.pieces, ending.stops)
        return cls(item, prompt.tokens.tolist(), stream, prompt.room(ending.most))

    def take(self, token: int, ending: Ending) -> Written:
        """Add the next token, or end with it."""
        self.written += 1
        if token == ending.end:
            return Written(self.item, None, self.stream.end(), True)
        self.tokens.append(token)
        text = self.stream.add(token)
        ended = self.stream.stopped or self.written >= self.most
        return Written(self.item, token, text + (self.stream.end() if ended else ""), ended)


class Pen(Protocol):
    """What writes with a model: our own loop over torch, or another engine with the same weights."""

    def write(self, prompts: Sequence[Prompt], sampling: Sampling, ending: Ending) -> Iterator[Written]:
        """Continue every prompt; tokens are given as they are chosen, those of one text in order."""
        ...

    def search(self, prompts: Sequence[Prompt], search: BeamSearch, ending: Ending) -> list[list[Hypothesis]]:
        """At most as many texts as there are beams for each prompt, the best first."""
        ...


@dataclass(frozen=True, slots=True)
class OwnPen:
    """Our own loop."""

    model: Model

    def write(self, prompts: Sequence[Prompt], sampling: Sampling, ending: Ending) -> Iterator[Written]:
        """Continue every prompt."""
        return write(self.model, prompts, sampling, ending)

    def search(self, prompts: Sequence[Prompt], search: BeamSearch, ending: Ending) -> list[list[Hypothesis]]:
        """The texts that the beams find."""
        return search.search(
            self.model,
            prompts,
            end=ending.end,
            padding=ending.padding,
            most=ending.most,
            stops=ending.stopped if ending.stops else None,
        )


def write(
    model: Model,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    ending: Ending,
    *,
    rows: int = ROWS,
    cached: bool = True,
) -> Iterator[Written]:
    """Continue every prompt; tokens are given as they are chosen, those of one text in order.

    What is written to a prompt does not depend on the prompts beside it (up to the rounding of sums).
    """
    waiting = deque(enumerate(prompts))
    desk = _Desk(model, ending, cached)
    while waiting or desk.texts:
        free = rows - len(desk.texts)
        if waiting and free * _FREE_SHARE >= rows:
            desk.admit(list(islice(_popped(waiting), free)))
        yield from desk.step(sampling)


def _popped(waiting: deque[tuple[int, Prompt]]) -> Iterator[tuple[int, Prompt]]:
    while waiting:
        yield waiting.popleft()


@dataclass(slots=True)
class _Desk:
    """The texts under way, and the writer that has read them up to the scores of their next tokens."""

    model: Model
    ending: Ending
    cached: bool
    texts: list[OpenText] = field(default_factory=list[OpenText])
    writer: Writer | None = None
    logits: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    @torch.no_grad()
    def admit(self, prompts: Sequence[tuple[int, Prompt]]) -> None:
        """Read further prompts, beside the texts under way."""
        ending = self.ending
        writer, logits = writer_for(
            self.model,
            [prompt for _, prompt in prompts],
            room=ending.most,
            padding=ending.padding,
            cached=self.cached,
        )
        self.texts += [OpenText.of(item, prompt, ending) for item, prompt in prompts]
        if self.writer is None:
            self.writer, self.logits = writer, logits
        else:
            self.writer.admit(writer, room=ending.most)
            self.logits = torch.cat((self.logits, logits))

    @torch.no_grad()
    def step(self, sampling: Sampling) -> list[Written]:
        """One more token for every text."""
        assert self.writer is not None
        # A text draws by how far it is itself, not by how long the desk has been at work.
        chosen = _choose(sampling, self.logits, self.texts)
        written = [text.take(token, self.ending) for text, token in zip(self.texts, chosen, strict=True)]
        going_on = [row for row, token in enumerate(written) if not token.ended]
        if not going_on:
            self.writer, self.texts = None, []
        else:
            tokens = torch.tensor(chosen, device=self.logits.device)
            if len(going_on) < len(self.texts):
                rows = torch.tensor(going_on, device=tokens.device)
                self.writer.select(rows)
                tokens, self.texts = tokens[rows], [self.texts[row] for row in going_on]
            self.logits = self.writer.feed(tokens[:, None])
        return written


def _choose(sampling: Sampling, logits: Tensor, texts: Sequence[OpenText]) -> list[int]:
    """Rows that are equally far are chosen together."""
    chosen = [0] * len(texts)
    for step in sorted({text.written for text in texts}):
        rows = [row for row, text in enumerate(texts) if text.written == step]
        some = [texts[row] for row in rows]
        tokens = sampling.choose(
            logits[rows], [text.tokens for text in some], [text.item for text in some], step
        )
        for row, token in zip(rows, tokens.tolist(), strict=True):
            chosen[row] = token
    return chosen
