"""Texts written from texts: translation, summarisation, answers of any kind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from headwater.data.examples import Example, LabelledSet
from headwater.data.targets import TargetTexts
from headwater.data.tokenizer import Tokenizer
from headwater.evaluation.metrics.text import TextReport, bleu_of, text_report
from headwater.objectives import SequenceToSequence
from headwater.run.deriving import Habits
from headwater.run.fitting import EncodedTexts, encode
from headwater.run.generating import Author, Decoding
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.tasks.task import Say, Task

WATCHED = 100
"""Validation rows that are written out at every evaluation: enough to see where BLEU goes."""


@dataclass(frozen=True)
class WritingTask(Task):
    """One text a row, written from another by an encoder-decoder."""

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

    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> SequenceToSequence:
        """The target token by token."""
        return SequenceToSequence(tokenizer, label_smoothing=settings.label_smoothing or 0.0)

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> EncodedTexts:
        """Sources and targets."""
        sources = encode([example.text for example in examples], tokenizer)
        return EncodedTexts(sources, encode([example.label or "" for example in examples], tokenizer))

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """Nats a target token over all rows, and BLEU of the first hundred, written greedily."""
        rows = self.rows(examples, reader.tokenizer)
        objective = SequenceToSequence(reader.tokenizer)
        targets = TargetTexts.of(rows.targets, reader.tokenizer, reader.length)
        watched = list(examples[:WATCHED])

        def judged() -> dict[str, float]:
            found = reader.of_every_row(
                lambda batch: objective.likelihoods(reader.model, targets.into(batch).to(reader.device)),
                rows.sources,
            )
            texts = self._written(reader, [example.texts for example in watched], Decoding(temperature=0.0))
            references = [example.label or "" for example in watched]
            bleu, _ = bleu_of(texts, references, rng=np.random.default_rng(0), resamples=1)
            return {"loss": float(-found[:, 0].sum() / found[:, 1].sum()), "bleu": bleu.value}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> TextReport:
        """Every test row is written with five beams."""
        del say
        texts = self._written(reader, [example.texts for example in given.examples], Decoding(beam=5))
        return text_report(texts, [example.label or "" for example in given.examples])

    def answers(self, reader: Reader, texts: Sequence[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
        """What is written from each text, with five beams."""
        for answer in Author(reader).answer(_joined(texts), Decoding(beam=5)):
            yield {"text": answer["text"], "score": answer["score"]}

    def _written(self, reader: Reader, texts: Sequence[tuple[str, ...]], decoding: Decoding) -> list[str]:
        def watch(done: int) -> None:
            del done
            if reader.check is not None:
                reader.check()

        return [answer["text"] for answer in Author(reader).answer(_joined(texts), decoding, watch)]


def _joined(texts: Sequence[tuple[str, ...]]) -> list[str]:
    """Several text columns are read as one text."""
    return ["\n".join(filter(None, text)) for text in texts]


def _shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
