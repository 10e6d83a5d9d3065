"""CTranslate2 in the place of our own loop: the same prompts, the same answers, faster on a CPU.

What differs: texts are drawn with the engine's own random numbers, so a draw depends on the texts beside it; a beam
search compares texts by log p / n^α, n without the [SEP], where ours has ((5 + n) / 6)^α.
"""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from headwater.data.tokenizer import Tokenizer
from headwater.errors import UsageError
from headwater.interchange.ctranslate2_format import furthest_position, save_ctranslate2
from headwater.interchange.ctranslate2_library import ctranslate2_library
from headwater.models.backbone import EncoderDecoder
from headwater.models.generation import BeamSearch, Ending, Hypothesis, OpenText, Prompt, Sampling, Written
from headwater.models.model import Model

Rounding = Literal["fp32", "int8"]
COMPUTE_TYPES: dict[Rounding, str] = {"fp32": "float32", "int8": "int8"}


@dataclass
class CompiledPen:
    """Writes with CTranslate2 what ``write`` and ``BeamSearch`` write with torch.

    ``rounding`` "int8": matrices in a byte a number with a scale for each row, and vectors rounded so as they come.
    """

    model: Model
    tokenizer: Tokenizer
    rounding: Rounding
    threads: int
    rows: int = 32
    """Texts written at a time."""
    _has_drawn: bool = field(default=False, init=False)

    def write(self, prompts: Sequence[Prompt], sampling: Sampling, ending: Ending) -> Iterator[Written]:
        """Continue every prompt; those of like length together."""
        options = _drawing(sampling)
        if sampling.temperature > 0.0:
            self._seed(sampling.seed)
        order = sorted(range(len(prompts)), key=lambda item: (_size(prompts[item]), item))
        for start in range(0, len(order), self.rows):
            items = order[start : start + self.rows]
            some = [prompts[item] for item in items]
            texts = [OpenText.of(item, prompt, ending) for item, prompt in zip(items, some, strict=True)]
            watched = len(prompts) == 1 or ending.stops  # a call for each token costs a small model a third
            way = self._as_they_come if watched else self._at_once
            yield from way(texts, some, options, ending)

    def search(self, prompts: Sequence[Prompt], search: BeamSearch, ending: Ending) -> list[list[Hypothesis]]:
        """The texts that so many beams find, the best first; UsageError where strings are to end them."""
        if ending.stops:
            raise UsageError(
                f"CTranslate2 ends no beam at a text such as {ending.stops[0]!r}; draw (--temperature 0), or leave "
                "--stop or --engine out"
            )
        options = {
            "beam_size": search.beams,
            "num_hypotheses": search.beams,
            "length_penalty": search.length_penalty,
            "return_scores": True,
            **_rules(search.rules),
        }
        found: dict[int, list[Hypothesis]] = {}
        sizes = [(len(prompt.tokens), prompt.room(ending.most)) for prompt in prompts]
        for size in sorted(
            set(sizes)
        ):  # the engine knows one end for all, and beams would be cut by that of others
            items = [item for item, other in enumerate(sizes) if other == size]
            found.update(
                zip(items, self._found([prompts[item] for item in items], options, ending), strict=True)
            )
        return [found[item] for item in range(len(prompts))]

    def _found(
        self, prompts: Sequence[Prompt], options: dict[str, Any], ending: Ending
    ) -> list[list[Hypothesis]]:
        told = self._told(prompts, options)
        return [
            [
                Hypothesis(tuple(tokens[count:]), score)
                for tokens, score in zip(self._texts(answer), answer.scores, strict=True)
            ]
            for answer, count in zip(self._ask(prompts, ending, options), told, strict=True)
        ]

    def _at_once(
        self, texts: Sequence[OpenText], prompts: Sequence[Prompt], options: dict[str, Any], ending: Ending
    ) -> Iterator[Written]:
        """Whole texts; those of short prompts may have become longer than asked."""
        told = self._told(prompts, options)
        answers = self._ask(prompts, ending, {**options, "return_end_token": True})
        for text, answer, count in zip(texts, answers, told, strict=True):
            for token in self._texts(answer)[0][count:]:
                written = text.take(token, ending)
                yield written
                if written.ended:
                    break

    def _as_they_come(
        self, texts: Sequence[OpenText], prompts: Sequence[Prompt], options: dict[str, Any], ending: Ending
    ) -> Iterator[Written]:
        """Tokens one by one; the engine works in a thread of its own."""
        given = self._given(prompts, options)
        ends = [count + text.most for count, text in zip(given, texts, strict=True)]
        over = [False] * len(texts)
        left = threading.Event()
        news: SimpleQueue[tuple[int, int] | BaseException | None] = SimpleQueue()

        def one(step: Any) -> bool:
            if step.step >= given[step.batch_id]:
                news.put((step.batch_id, step.token_id))
            return left.is_set() or over[step.batch_id] or step.step + 1 >= ends[step.batch_id]

        def work() -> None:
            try:
                self._ask(prompts, ending, {**options, "callback": one})
                news.put(None)
            except BaseException as problem:
                news.put(problem)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            while (told := news.get()) is not None:
                if isinstance(told, BaseException):
                    raise told
                row, token = told
                if not over[row]:
                    written = texts[row].take(token, ending)
                    over[row] = written.ended
                    yield written
        finally:
            left.set()
            thread.join()

    def _given(self, prompts: Sequence[Prompt], options: dict[str, Any]) -> list[int]:
        """How many tokens of each prompt the engine repeats before it writes: all that it does not read at once."""
        lengths = [len(prompt.tokens) for prompt in prompts]
        read = 1 if self._translates or _looks_back(options) else min(lengths, default=1)
        return [length - read for length in lengths]

    def _told(self, prompts: Sequence[Prompt], options: dict[str, Any]) -> list[int]:
        """How many tokens of each prompt stand in front of its answer: those repeated, where none was read at once."""
        given = self._given(prompts, options)
        begins = min((len(prompt.tokens) for prompt in prompts), default=1) == 1
        return given if self._translates or _looks_back(options) or begins else [0] * len(given)

    def _ask(self, prompts: Sequence[Prompt], ending: Ending, options: dict[str, Any]) -> list[Any]:
        """The engine's answers, in the order of the prompts."""
        names, room = self._names, self._room(prompts, ending.most)
        begun = [[names[token] for token in prompt.tokens] for prompt in prompts]
        shared = {"end_token": [ending.end], "max_batch_size": self.rows, **options}
        most = room + max(self._told(prompts, options), default=0)
        if not self._translates:
            return self._engine.generate_batch(
                begun, max_length=most, include_prompt_in_result=_looks_back(options), **shared
            )
        sources = [prompt.source for prompt in prompts if prompt.source is not None]
        return self._engine.translate_batch(
            [[names[token] for token in source.tolist()] for source in sources],
            [prompt[1:] for prompt in begun],  # [CLS] is what every text begins with
            max_input_length=0,
            max_decoding_length=most,
            min_decoding_length=0,
            **shared,
        )

    def _texts(self, answer: Any) -> list[list[int]]:
        if not self._translates:
            return answer.sequences_ids
        return [[self._numbers[name] for name in text] for text in answer.hypotheses]

    def _room(self, prompts: Sequence[Prompt], most: int) -> int:
        """How far the engine goes on behind the longest prompt: as far as any of them may, within its positions."""
        room = max((prompt.room(most) for prompt in prompts), default=0)
        known = furthest_position(self.model)
        if known is None:
            return room
        ends = ((len(p.tokens) + p.room(most) - 1, 0 if p.source is None else len(p.source)) for p in prompts)
        if (longest := max(map(max, ends), default=0)) > known:
            raise UsageError(
                f"texts of up to {longest} tokens go beyond the {known} positions that the engine was given; ask for "
                "fewer (--max-tokens), or leave --engine out"
            )
        return min(room, known + 1 - max(len(prompt.tokens) for prompt in prompts))

    @property
    def _translates(self) -> bool:
        return isinstance(self.model.backbone, EncoderDecoder)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return self.tokenizer.names

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self._names)}

    def _seed(self, seed: int) -> None:
        """Only an engine that has drawn nothing yet takes a seed."""
        if self._has_drawn:
            self.__dict__.pop("_engine", None)
        ctranslate2_library().set_random_seed(seed)
        self._has_drawn = True

    @cached_property
    def _engine(self) -> Any:
        library = ctranslate2_library()
        kind = library.Translator if self._translates else library.Generator
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "model"
            save_ctranslate2(folder, self.model, self.tokenizer)
            return kind(str(folder), compute_type=COMPUTE_TYPES[self.rounding], intra_threads=self.threads)


def _drawing(sampling: Sampling) -> dict[str, Any]:
    if sampling.min_p is not None:
        raise UsageError("CTranslate2 knows no min_p; use --top-k or --top-p, or leave --engine out")
    drawn: dict[str, Any] = {"beam_size": 1, **_rules(sampling)}
    if sampling.temperature == 0.0:
        return drawn | {"sampling_topk": 1}
    return drawn | {
        "sampling_temperature": sampling.temperature,
        "sampling_topk": sampling.top_k or 0,
        "sampling_topp": 1.0 if sampling.top_p is None else sampling.top_p,
    }


def _rules(sampling: Sampling) -> dict[str, Any]:
    return {
        "repetition_penalty": sampling.repetition_penalty,
        "no_repeat_ngram_size": sampling.no_repeat_ngram,
    }


def _looks_back(options: dict[str, Any]) -> bool:
    """Whether the rules of repetition need the prompt; what the engine reads at once it does not remember."""
    return options["repetition_penalty"] != 1.0 or options["no_repeat_ngram_size"] > 0


def _size(prompt: Prompt) -> int:
    return len(prompt.tokens if prompt.source is None else prompt.source)
