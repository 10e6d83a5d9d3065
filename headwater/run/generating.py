"""What a finished run writes: continuations of prompts, drawn or searched, streamed or many at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.data.tokenizer import Tokenizer
from headwater.errors import UsageError
from headwater.models import Model, load_bundle
from headwater.models.generation import BeamSearch, Ending, Prompt, Sampling, write
from headwater.run.folder import RunFolder
from headwater.run.starting import DEFAULT_LENGTH, model_folder
from headwater.training.precision import count_free_cores, tune_allocator, use_threads

PROMPTS_A_SEARCH = 16
DEFAULT_TEMPERATURE = 0.8
DEFAULT_TOP_P = 0.95
MOST_TOKENS = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How texts are written.

    With ``beam``, the most probable text that so many beams find; else drawn at ``temperature`` (0: the most probable
    token each time) from the shortened list that ``top_k``, ``top_p`` and ``min_p`` leave. Without any of
    them: temperature 0.8, top-p 0.95. A text ends by itself, before a ``stop`` string, or after ``max_tokens``.
    """

    max_tokens: int = 200
    beam: int | None = None
    length_penalty: float = 0.6
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.max_tokens <= MOST_TOKENS:
            raise UsageError(
                f"max_tokens = {self.max_tokens}; expected a whole number from 1 to {MOST_TOKENS:,}"
            )
        draws = [
            name for name in ("temperature", "top_k", "top_p", "min_p") if getattr(self, name) is not None
        ]
        if self.beam is not None and draws:
            raise UsageError(
                f"beam search draws nothing, so {draws[0]} has no meaning with it; leave one of them out"
            )

    @property
    def sampling(self) -> Sampling:
        """How the next token is drawn."""
        plain = self.temperature is None and self.top_k is None and self.top_p is None and self.min_p is None
        return Sampling(
            temperature=DEFAULT_TEMPERATURE if self.temperature is None else self.temperature,
            top_k=self.top_k,
            top_p=DEFAULT_TOP_P if plain else self.top_p,
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
    """A shipped model that writes."""

    model: Model
    tokenizer: Tokenizer
    card: Mapping[str, Any]

    @classmethod
    def load(cls, folder: RunFolder) -> "Author":
        """Load the model folder of a finished run."""
        tune_allocator()
        use_threads(count_free_cores())
        bundle = load_bundle(model_folder(folder.path))
        tokenizer = Tokenizer.load(bundle.tokenizer_path)
        return cls(bundle.model.eval(), tokenizer, bundle.card)

    def remark(self, prompts: Sequence[str], decoding: Decoding) -> str | None:
        """What a person should know before trusting what is written: texts longer than any the model was trained on."""
        length = int(self.card.get("length") or DEFAULT_LENGTH)
        longest = max((len(self._prompt(text).tokens) for text in prompts), default=0) + decoding.max_tokens
        if longest <= length:
            return None
        return (
            f"the model was trained on windows of {length} tokens; what stands behind the first {length} of these up "
            f"to {longest} is beyond anything it has read"
        )

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[str]:
        """The continuation of one prompt, piece by piece, no character split."""
        if decoding.beam is not None:
            raise UsageError("a beam search knows its text only at the end; leave --stream or --beam out")
        for written in write(self.model, [self._prompt(prompt)], decoding.sampling, self._ending(decoding)):
            if written.text:
                yield written.text

    def answer(self, prompts: Sequence[str], decoding: Decoding) -> Iterator[dict[str, Any]]:
        """The continuation of every prompt, in their order."""
        found = (
            self._searched(prompts, decoding) if decoding.beam is not None else self._drawn(prompts, decoding)
        )
        for prompt, answer in zip(prompts, found, strict=True):
            yield {"prompt": prompt, **answer}

    def _drawn(self, prompts: Sequence[str], decoding: Decoding) -> Iterator[dict[str, Any]]:
        texts, counts = ["" for _ in prompts], [0 for _ in prompts]
        finished: dict[int, bool] = {}
        waited_for = 0
        tokens = [self._prompt(prompt) for prompt in prompts]
        for item, token, text, ended in write(self.model, tokens, decoding.sampling, self._ending(decoding)):
            texts[item] += text
            counts[item] += token is not None
            if ended:
                finished[item] = token is None
            while waited_for in finished:  # in the order of the prompts, whoever ends first
                yield {
                    "text": texts[waited_for],
                    "tokens": counts[waited_for],
                    "ended": finished[waited_for],
                }
                waited_for += 1

    def _searched(self, prompts: Sequence[str], decoding: Decoding) -> Iterator[dict[str, Any]]:
        for start in range(0, len(prompts), PROMPTS_A_SEARCH):
            part = [self._prompt(prompt) for prompt in prompts[start : start + PROMPTS_A_SEARCH]]
            found = decoding.search.search(
                self.model,
                part,
                end=self.tokenizer.sep,
                padding=self.tokenizer.pad,
                most=decoding.max_tokens,
            )
            for best, *_ in found:
                text = self.tokenizer.decode(best.tokens)
                cut = min((place for stop in decoding.stop if (place := text.find(stop)) >= 0), default=None)
                yield {
                    "text": text[:cut],
                    "tokens": len(best.tokens),
                    "ended": len(best.tokens) < decoding.max_tokens,
                    "score": round(best.score, 6),
                }

    def _prompt(self, text: str) -> Prompt:
        (tokens,) = self.tokenizer.encode_batch([text])
        return Prompt(np.concatenate([[self.tokenizer.cls], tokens]).astype(np.int64))

    def _ending(self, decoding: Decoding) -> Ending:
        return Ending(
            end=self.tokenizer.sep,
            padding=self.tokenizer.pad,
            most=decoding.max_tokens,
            pieces=self.tokenizer.pieces,
            stops=decoding.stop,
        )
