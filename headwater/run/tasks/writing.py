"""Texts written from texts: translation, summarisation, answers of any kind.

An encoder-decoder reads the source and writes; a decoder reads the source and goes on with the answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.examples import Content, Example, LabelledSet, texts_in
from headwater.data.targets import Targets, TargetTexts, WithinTheText
from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.evaluation.metrics.text import TextReport, bleu_of, text_report
from headwater.evaluation.metrics.written import Written
from headwater.models import EncoderDecoderSettings, TransformerSettings
from headwater.objectives import Continuation, SequenceToSequence
from headwater.run.deriving import Habits
from headwater.run.fitting import EncodedTexts, JoinedTexts, encode
from headwater.run.generating import BEAMS, Author, Decoding
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.starting import StartingPoint
from headwater.run.tasks.task import Say, Task
from headwater.sequence import Batch

WATCHED = 100
"""Validation rows that are written out at every evaluation: enough to see where BLEU goes."""


@dataclass(frozen=True)
class WritingTask(Task[Tokenizer]):
    """One text a row, written from another."""

    by_decoder: bool = False

    head: ClassVar[str] = "next_token"
    labels_are: ClassVar = "text"
    needs: ClassVar = "source"
    habits: ClassVar[Habits] = Habits(
        rows=128,
        parts=4,
        epochs=30,
        schedule="inverse_square_root",
        average="exponential",
        label_smoothing=0.1,
        rate_factor=3.0,
    )

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Any text will do."""
        del rows
        return cls(name)

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """Nothing is kept but the name."""
        return cls(str(card["task"]))

    def remark(self, rows: LabelledSet) -> str:
        """From which column to which."""
        first = rows.examples[0]
        return (
            f"{len(rows):,} rows from {', '.join(rows.text_columns)} to {rows.label_column}, the first: "
            f"{_shortened(first.text)} → {_shortened(first.label or '')}"
        )

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """A decoder writes on from the source; an encoder alone cannot write."""
        settings = start.settings
        if isinstance(settings, EncoderDecoderSettings):
            return self
        if isinstance(settings, TransformerSettings) and settings.causal:
            return replace(self, by_decoder=True)
        raise SettingsError(
            f"{path} has no decoder, and {self.name} writes texts; pre-train with --objective next_token, denoising or "
            "span_corruption, or start from 'scratch'"
        )

    def objective(
        self, settings: ObjectiveSettings, tokenizer: Tokenizer
    ) -> Continuation | SequenceToSequence:
        """The target token by token."""
        kind = Continuation if self.by_decoder else SequenceToSequence
        return kind(tokenizer, label_smoothing=settings.label_smoothing or 0.0)

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> EncodedTexts | JoinedTexts:
        """Sources and targets."""
        sources = encode([example.text for example in examples], tokenizer)
        targets = encode([example.label or "" for example in examples], tokenizer)
        if self.by_decoder:
            return JoinedTexts(list(zip(sources, targets, strict=True)))
        return EncodedTexts(sources, targets)

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """Source and target, each for itself; a decoder reads both in one row."""
        parts = (example.text, example.label or "")
        return [parts] if self.by_decoder else [(part,) for part in parts]

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """Nats a target token over all rows, and BLEU of the first hundred, written greedily."""
        likelihoods = self._likelihoods(reader, examples)
        watched = list(examples[:WATCHED])

        def judged() -> dict[str, float]:
            found = likelihoods()
            texts = self._written(reader, [example.texts for example in watched], Decoding(temperature=0.0))
            references = [example.references for example in watched]
            bleu, _ = bleu_of(texts, references, rng=np.random.default_rng(0), resamples=1)
            return {"loss": float(-found[:, 0].sum() / found[:, 1].sum()), "bleu": bleu.value}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> TextReport:
        """Every test row is written with five beams."""
        sources = [example.texts for example in given.examples]
        if unread := Author(reader, answers=True).unread(_joined(sources)):
            say(unread)
        texts = self._written(reader, sources, Decoding(beam=BEAMS))
        return text_report(
            texts, [example.references for example in given.examples], sources=_joined(sources)
        )

    def written_of(self, reader: Reader, examples: Sequence[Example]) -> Sequence[Written]:
        """With five beams, as ``report`` does."""
        texts = self._written(reader, [example.texts for example in examples], Decoding(beam=BEAMS))
        return [
            Written(example.text, example.label or "", text)
            for example, text in zip(examples, texts, strict=True)
        ]

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """What is written from each text, with five beams."""
        texts = texts_in(contents)
        for answer in Author(reader, answers=True).answer(_joined(texts), Decoding(beam=BEAMS)):
            yield {"text": answer["text"], "score": answer["score"]}

    def _written(self, reader: Reader, texts: Sequence[tuple[str, ...]], decoding: Decoding) -> list[str]:
        def watch(done: int) -> None:
            del done
            if reader.check is not None:
                reader.check()

        author = Author(reader, answers=True)
        return [answer["text"] for answer in author.answer(_joined(texts), decoding, watch)]

    def _likelihoods(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], NDArray[np.float32]]:
        """log p(target | source) of every row, and how many tokens it has: (rows, 2)."""
        rows, objective = (
            self.rows(examples, reader.tokenizer),
            self.objective(ObjectiveSettings(), reader.tokenizer),
        )
        targets: Targets
        if isinstance(rows, JoinedTexts):
            texts, targets = rows.texts, WithinTheText(len(rows))
        else:
            texts, targets = rows.sources, TargetTexts.of(rows.targets, reader.tokenizer, reader.length)

        def of(batch: Batch) -> Tensor:
            return objective.likelihoods(reader.model, targets.into(batch).to(reader.device))

        return lambda: reader.of_every_row(of, texts)


def _joined(texts: Sequence[tuple[str, ...]]) -> list[str]:
    """Several text columns are read as one text."""
    return ["\n".join(filter(None, text)) for text in texts]


def _shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
