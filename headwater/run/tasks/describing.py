"""Texts written from what is seen or heard: captions of pictures and clips, words of recordings.

An encoder of patches, as it was pre-trained, and a decoder behind it that writes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
from torch import Tensor

from headwater.data.batches import BatchStream
from headwater.data.examples import Content, Example, LabelledSet
from headwater.data.kinds import Split
from headwater.data.pool import vocabulary_size_for
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, Tokenizer, patches_in
from headwater.data.targets import TargetTexts
from headwater.errors import SettingsError, UsageError
from headwater.evaluation.metrics.recognition import RecognitionReport, recognition_report
from headwater.evaluation.metrics.text import TextReport, bleu_of, text_report
from headwater.models import EncoderDecoderSettings, TransformerSettings
from headwater.models.tower_sizes import describing_decoder
from headwater.objectives import SequenceToSequence
from headwater.run.deriving import Habits
from headwater.run.fitting import encode, labelled_batches
from headwater.run.generating import Author, Decoding
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings, TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH, StartingPoint
from headwater.run.tasks.task import Say, Task
from headwater.sequence import Batch

WATCHED = 100
"""Validation rows that are written out at every evaluation."""
BEAMS = 5


@dataclass(frozen=True)
class DescribingTask(Task[Patches]):
    """One text a picture, recording or clip."""

    words: Tokenizer | None = None
    """Of the texts that are learnt from."""

    head: ClassVar[str] = "next_token"
    labels_are: ClassVar = "text"
    needs: ClassVar = "source"
    reads_pictures: ClassVar[bool] = True
    habits: ClassVar[Habits] = Habits(size="nano")

    @classmethod
    def read(
        cls, path: str | Path, *, text: Sequence[str] | None, label: str | None, split: Split
    ) -> LabelledSet:
        """Rows that are texts themselves are translated, not described."""
        del text, label, split
        raise UsageError(
            f"{path} holds text, and captioning reads pictures, recordings or clips; choose --task translation, "
            "summarization or generation for text"
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
        """How many texts, and the first of them."""
        first = (rows.examples[0].label or "")[:60]
        return f"{len(rows):,} rows with a text each in {rows.label_column}, the first: {first}"

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """Only what reads patches."""
        settings = start.settings
        if isinstance(settings, EncoderDecoderSettings | TransformerSettings):
            return self
        raise SettingsError(f"{path} is no Transformer, and {self.name} needs one; begin with another run")

    def extended(
        self, start: StartingPoint, rows: LabelledSet, check: Callable[[], None]
    ) -> tuple[StartingPoint, Self]:
        """A decoder of the encoder's size, over a vocabulary of the training texts; one that is there stays."""
        if start.words is not None:
            return start, replace(self, words=start.words)
        texts = [example.label or "" for example in rows.examples]
        words = Tokenizer.learn(texts, vocabulary_size_for(sum(map(len, texts))), lambda *_: check())
        assert isinstance(start.settings, TransformerSettings)
        return start.writing(describing_decoder(start.settings, words.size), words), replace(
            self, words=words
        )

    def objective(self, settings: ObjectiveSettings, sequencer: Patches) -> SequenceToSequence:
        """The text token by token."""
        del sequencer
        assert self.words is not None
        return SequenceToSequence(self.words, label_smoothing=settings.label_smoothing or 0.0)

    def rows(self, examples: Sequence[Example], sequencer: Patches) -> "DescribedRows":
        """What is seen or heard, and the text of each."""
        del sequencer
        assert self.words is not None
        return DescribedRows.of(examples, self.words)

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """Nats a token over all rows; BLEU of the first hundred, or how many of their words are wrong."""
        rows, objective = DescribedRows.of(examples, reader.tokenizer), SequenceToSequence(reader.tokenizer)
        targets = TargetTexts.of(rows.texts, reader.tokenizer, reader.length)
        watched = list(examples[:WATCHED])

        def of(batch: Batch) -> Tensor:
            return objective.likelihoods(reader.model, targets.into(batch).to(reader.device))

        def judged() -> dict[str, float]:
            found = reader.of_every_row(of, rows.seen)
            texts = self._written(reader, watched, Decoding(temperature=0.0))
            references = [example.label or "" for example in watched]
            if _hears(reader):
                told = {"wer": recognition_report(texts, references).word_error_rate.value}
            else:
                bleu, _ = bleu_of(texts, references, rng=np.random.default_rng(0), resamples=1)
                told = {"bleu": bleu.value}
            return {"loss": float(-found[:, 0].sum() / found[:, 1].sum()), **told}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> TextReport | RecognitionReport:
        """Every test row is written with five beams."""
        del say
        texts = self._written(reader, given.examples, Decoding(beam=BEAMS))
        references = [example.label or "" for example in given.examples]
        return (recognition_report if _hears(reader) else text_report)(texts, references)

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """What is written of each, with five beams."""
        pictures = [content for content in contents if not isinstance(content, tuple)]
        for answer in Author(reader, answers=True).describe(pictures, Decoding(beam=BEAMS)):
            yield {"text": answer["text"], "score": answer["score"]}

    def _written(self, reader: Reader, examples: Sequence[Example], decoding: Decoding) -> list[str]:
        def watch(done: int) -> None:
            del done
            if reader.check is not None:
                reader.check()

        pictures = [cast(Pixels, example.pixels) for example in examples]
        return [answer["text"] for answer in Author(reader, answers=True).describe(pictures, decoding, watch)]


def _hears(reader: Reader) -> bool:
    """Whether what is written down was spoken: then words are right or wrong, and no caption is like another."""
    return patches_in(reader.sequencer, "this run").mel is not None


@dataclass(frozen=True, slots=True)
class DescribedRows:
    """Pictures, recordings or clips, and the tokens of a text for each."""

    seen: Sequence[Pixels]
    texts: Sequence[Any]
    words: Tokenizer

    @classmethod
    def of(cls, examples: Sequence[Example], words: Tokenizer) -> "DescribedRows":
        """Encode the texts."""
        seen = [cast(Pixels, example.pixels) for example in examples]
        return cls(seen, encode([example.label or "" for example in examples], words), words)

    def batches(self, patches: Patches, training: TrainingSettings) -> BatchStream:
        """Training batches over these rows, as a run's settings say; not mirrored unless that is asked for."""
        texts = TargetTexts.of(self.texts, self.words, training.length or DEFAULT_LENGTH)
        upright = replace(training, mirrored=bool(training.mirrored))
        return labelled_batches(self.seen, texts, patches_in(patches, "this run"), upright)

    def __len__(self) -> int:
        return len(self.seen)
