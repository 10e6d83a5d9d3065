"""What a finished run writes: continuations of prompts, drawn or searched, streamed or many at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import patches_in
from headwater.errors import UsageError
from headwater.models import EncoderDecoder
from headwater.models.generation import (
    BeamSearch,
    Ending,
    Hypothesis,
    OwnPen,
    Pen,
    Prompt,
    Sampling,
    Source,
    Tokens,
    beyond_positions,
    require_writer,
)
from headwater.models.weights import read_json
from headwater.run.folder import RunFolder
from headwater.run.reading import Reader
from headwater.run.starting import model_folder

PROMPTS_A_SEARCH = 32
PROMPTS_A_STRETCH = 1024
DEFAULT_TOKENS = 200
DEFAULT_TEMPERATURE = 0.8
DEFAULT_TOP_P = 0.95
MOST_TOKENS = 1 << 16
BEAMS = 5
"""Texts that are searched side by side where a task is answered."""
WRITING_TASKS = ("translation", "summarization", "generation")
"""Labelled tasks whose answer is a text."""
Watch = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How texts are written.

    With ``beam``, the most probable text that so many beams find; else drawn at ``temperature`` (0: the most probable
    token each time) from the shortened list that ``top_k``, ``top_p`` and ``min_p`` leave. Without any of
    them: temperature 0.8, top-p 0.95. A text ends by itself, before a ``stop`` string, or after ``max_tokens`` (None:
    200, and half as many again as its source where it has one). ``prefix`` is what every text written from a source
    begins with.
    """

    max_tokens: int | None = None
    beam: int | None = None
    length_penalty: float = 0.6
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    stop: str | tuple[str, ...] = ()
    prefix: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens is not None and not 1 <= self.max_tokens <= MOST_TOKENS:
            raise UsageError(
                f"max_tokens = {self.max_tokens}; expected a whole number from 1 to {MOST_TOKENS:,}"
            )
        if self.beam is not None and self.beam < 1:
            raise UsageError(f"beam = {self.beam}; expected a whole number from 1")
        if self.beam is not None and self.draws:
            raise UsageError(
                f"beam search draws nothing, so {self.draws[0]} has no meaning with it; leave one of them out"
            )

    @property
    def draws(self) -> tuple[str, ...]:
        """What was asked for of a draw, by name."""
        names = ("temperature", "top_k", "top_p", "min_p")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def stops(self) -> tuple[str, ...]:
        """Where a text ends before its end."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def for_translation(self) -> "Decoding":
        """The same with five beams, unless beams or a draw were asked for."""
        return replace(self, beam=BEAMS) if self.beam is None and not self.draws else self

    @property
    def sampling(self) -> Sampling:
        """How the next token is drawn."""
        return Sampling(
            temperature=DEFAULT_TEMPERATURE if self.temperature is None else self.temperature,
            top_k=self.top_k,
            top_p=self.top_p if self.draws else DEFAULT_TOP_P,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            no_repeat_ngram=self.no_repeat_ngram,
            seed=self.seed,
        )

    @property
    def search(self) -> BeamSearch:
        """How beams are kept."""
        return BeamSearch(beams=self.beam or 1, length_penalty=self.length_penalty, rules=self.sampling)


@dataclass(frozen=True, slots=True)
class Author:
    """A model that writes: on from a prompt, or, with an encoder, from a source."""

    reader: Reader
    answers: bool = False
    """Whether it was taught to write from sources; then a decoder ends a source before it writes."""
    text_columns: tuple[str, ...] | None = None
    """Those of the rows that it was trained on, where it knows them."""
    line_by_line: bool = False
    """Whether it translates plain text a line at a time: the answers stand beside the lines."""

    @classmethod
    def load(cls, folder: RunFolder) -> "Author":
        """Load the model folder of a finished run."""
        reader, card = Reader.of_run(folder)
        require_writer(reader.model)
        columns = tuple(card["text"]) if card.get("text") else None
        return cls(reader, card.get("task") in WRITING_TASKS, columns, card.get("task") == "translation")

    @property
    def reads_sources(self) -> bool:
        """True where the text is written from a source, by an encoder-decoder or by a decoder that was taught to."""
        return self.answers or self._has_encoder

    @property
    def _pen(self) -> Pen:
        return self.reader.pen or OwnPen(self.reader.model)

    @property
    def _has_encoder(self) -> bool:
        return isinstance(self.reader.model.backbone, EncoderDecoder)

    def remarks(self, texts: Sequence[str], decoding: Decoding) -> Iterator[str]:
        """What a person should know before trusting what is written: what is not read, or longer than any text that
        it was trained on.
        """
        if unread := self.unread(texts):
            yield unread
        prompts = self._prompts(texts, decoding)
        most = self._most(prompts, decoding)
        longest = max((len(prompt.tokens) + prompt.room(most) for prompt in prompts), default=0)
        if longest > self.reader.length:
            yield (
                f"the model was trained on windows of {self.reader.length} tokens; what stands behind them, in texts "
                f"of up to {longest}, is beyond anything it has read"
            )

    def beyond(self, texts: Sequence[str], decoding: Decoding) -> list[str]:
        """Of each text why it cannot be gone on with, "" where it can: learnt positions end."""
        if self.reader.model.backbone.longest_row is None:
            return [""] * len(texts)
        prompts = self._prompts(texts, decoding)
        most = self._most(prompts, decoding)
        return [beyond_positions(self.reader.model, prompt, most) for prompt in prompts]

    def unread(self, texts: Sequence[str]) -> str:
        """How many sources lose their end, in one line; "" where none does."""
        if not self.reads_sources:
            return ""
        sizes = [len(tokens) for tokens in self.reader.tokenizer.encode_batch(list(texts))]
        if not (long := sum(size > self._source_room for size in sizes)):
            return ""
        return (
            f"{long:,} of {len(sizes):,} texts are longer than the {self._source_room} tokens that are read of each, "
            f"and lose their end; the longest has {max(sizes):,}: break them into shorter ones"
        )

    @property
    def _source_room(self) -> int:
        """Tokens read of a source; of a decoder's window the rest is for the answer."""
        return (self.reader.length if self._has_encoder else self.reader.length * 2 // 3) - 2

    def stream(self, text: str, decoding: Decoding) -> Iterator[str]:
        """What is written to one text, piece by piece, no character split; nothing to a source that is blank."""
        if decoding.beam is not None:
            raise UsageError("a beam search knows its text only at the end; leave --stream or --beam out")
        prompts = [] if self._is_blank(text) else self._prompts([text], decoding)
        for written in self._pen.write(prompts, decoding.sampling, self._ending(prompts, decoding)):
            if written.text:
                yield written.text

    def answer(
        self, texts: Sequence[str], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[dict[str, Any]]:
        """What is written to every text, in their order; ``watch`` is told how many are written, in any order.

        A source that is blank has an empty text for its answer.
        """
        asked = [text for text in texts if not self._is_blank(text)]
        written = self._written(self._prompts(asked, decoding), decoding, watch)
        nothing = {
            "text": "",
            "tokens": 0,
            "ended": True,
            **({} if decoding.beam is None else {"score": 0.0}),
        }
        for text in texts:
            yield {"prompt": text, **(nothing if self._is_blank(text) else next(written))}

    def describe(
        self, pictures: Sequence[Pixels], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[dict[str, Any]]:
        """What is written of every picture, recording or clip, in their order."""
        patches = patches_in(self.reader.sequencer, "this run")
        begun = np.array([self.reader.tokenizer.cls], np.int64)
        for start in range(0, len(pictures), PROMPTS_A_STRETCH):
            some = np.stack(pictures[start : start + PROMPTS_A_STRETCH])
            sources = patches.sequences(some)[0]
            prompts = [self._answered(begun, source.numpy(), decoding) for source in sources]
            yield from self._written(prompts, decoding, watch)

    def _written(
        self, prompts: Sequence[Prompt], decoding: Decoding, watch: Watch | None
    ) -> Iterator[dict[str, Any]]:
        write_all = self._drawn if decoding.beam is None else self._searched
        return write_all(prompts, decoding, watch or _nobody)

    def _drawn(self, prompts: Sequence[Prompt], decoding: Decoding, watch: Watch) -> Iterator[dict[str, Any]]:
        drafts = [_Draft(decoding.prefix if self.reads_sources else "") for _ in prompts]
        waited_for = done = 0
        ending = self._ending(prompts, decoding)
        for item, token, text, ended in self._pen.write(prompts, decoding.sampling, ending):
            drafts[item].add(token, text, ended)
            if ended:
                done += 1
                watch(done)
            while waited_for < len(drafts) and drafts[waited_for].answer is not None:
                yield drafts[waited_for].answer or {}  # in the order of the prompts, whoever ends first
                waited_for += 1

    def _searched(
        self, prompts: Sequence[Prompt], decoding: Decoding, watch: Watch
    ) -> Iterator[dict[str, Any]]:
        """Prompts of like length are searched together, a stretch of them at a time."""
        for start in range(0, len(prompts), PROMPTS_A_STRETCH):
            stretch = prompts[start : start + PROMPTS_A_STRETCH]
            order = sorted(range(len(stretch)), key=lambda place: _size(stretch[place]))
            found: dict[int, dict[str, Any]] = {}
            for first in range(0, len(order), PROMPTS_A_SEARCH):
                places = order[first : first + PROMPTS_A_SEARCH]
                answers = self._best([stretch[place] for place in places], decoding)
                found.update(zip(places, answers, strict=True))
                watch(start + len(found))
            yield from (found[place] for place in range(len(stretch)))

    def _best(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[dict[str, Any]]:
        ending = self._ending(prompts, decoding)
        found = self._pen.search(prompts, decoding.search, ending)
        return [
            self._told(hypotheses[0], prompt.room(ending.most), decoding)
            for prompt, hypotheses in zip(prompts, found, strict=True)
        ]

    def _told(self, best: Hypothesis, most: int, decoding: Decoding) -> dict[str, Any]:
        text = self.reader.tokenizer.decode(best.tokens)
        cut = min(
            (place for stop in decoding.stops if stop and (place := text.find(stop)) >= 0), default=None
        )
        return {
            "text": (decoding.prefix if self.reads_sources else "") + text[:cut],
            "tokens": len(best.tokens),
            "ended": cut is None and len(best.tokens) < most,
            "score": round(best.score, 6),
        }

    def _is_blank(self, text: str) -> bool:
        return self.reads_sources and not text.strip()

    def _prompts(self, texts: Sequence[str], decoding: Decoding) -> list[Prompt]:
        cls, sep = np.array([self.reader.tokenizer.cls]), np.array([self.reader.tokenizer.sep])
        encoded = self.reader.tokenizer.encode_batch(list(texts))
        if not self.reads_sources:
            return [Prompt(np.concatenate([cls, tokens]).astype(np.int64)) for tokens in encoded]
        prefix = self.reader.tokenizer.encode_batch([decoding.prefix])[0] if decoding.prefix else cls[:0]
        if not self._has_encoder:
            joined = (np.concatenate([cls, tokens[: self._source_room], sep, prefix]) for tokens in encoded)
            return [self._answered(prompt.astype(np.int64), None, decoding) for prompt in joined]
        begun = np.concatenate([cls, prefix]).astype(np.int64)
        sources = (np.concatenate([cls, tokens[: self._source_room], sep]) for tokens in encoded)
        return [self._answered(begun, source.astype(np.int64), decoding) for source in sources]

    def _answered(self, begun: Tokens, source: Source | None, decoding: Decoding) -> Prompt:
        """A source with the room of its own answer, whatever is asked beside it."""
        if decoding.max_tokens is not None:
            return Prompt(begun, source)
        size = len(begun if source is None else source)
        room = self.reader.length - (0 if self._has_encoder else size)
        return Prompt(begun, source, max(1, min(room, size * 3 // 2 + 16)))

    def _most(self, prompts: Sequence[Prompt], decoding: Decoding) -> int:
        """The most tokens that any of the texts may have."""
        if decoding.max_tokens is not None:
            return decoding.max_tokens
        return max((prompt.most or DEFAULT_TOKENS for prompt in prompts), default=DEFAULT_TOKENS)

    def _ending(self, prompts: Sequence[Prompt], decoding: Decoding) -> Ending:
        return Ending(
            end=self.reader.tokenizer.sep,
            padding=self.reader.tokenizer.pad,
            most=self._most(prompts, decoding),
            pieces=self.reader.tokenizer.pieces,
            stops=decoding.stops,
        )


def goes_on(folder: RunFolder) -> bool:
    """Whether a run writes on from a prompt, and not a text of its own from a source."""
    model = model_folder(folder.path)
    from_sources = read_json(model / "headwater.json").get("task") in WRITING_TASKS
    return not from_sources and not read_json(model / "config.json").get("is_encoder_decoder")


def _nobody(done: int) -> None:
    """Nobody watches."""


@dataclass(slots=True)
class _Draft:
    text: str
    tokens: int = 0
    answer: dict[str, Any] | None = None

    def add(self, token: int | None, text: str, ended: bool) -> None:
        self.text += text
        self.tokens += token is not None
        if ended:
            self.answer = {"text": self.text, "tokens": self.tokens, "ended": token is None}


def _size(prompt: Prompt) -> int:
    return len(prompt.tokens if prompt.source is None else prompt.source)
