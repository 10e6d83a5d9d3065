"""Speech recognition as a run does it: the words of a recording, column by column of its spectrogram."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch

from headwater.data.examples import Content, Example, LabelledSet
from headwater.data.kinds import Split
from headwater.data.pool import vocabulary_size_for
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, Tokenizer, patches_in
from headwater.data.targets import TargetTexts
from headwater.errors import SettingsError, UsageError
from headwater.evaluation.metrics.recognition import RecognitionReport, recognition_report
from headwater.models import TransformerSettings
from headwater.objectives import CTC
from headwater.randomness import Draws
from headwater.run.deriving import Habits
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.starting import StartingPoint
from headwater.run.tasks.describing import DescribedRows
from headwater.run.tasks.task import Say, Task
from headwater.sequence import Batch


@dataclass(frozen=True)
class TranscribingTask(Task[Patches]):
    """One text a recording, told by connectionist temporal classification."""

    words: Tokenizer | None = None
    """Of the texts that are learnt from."""

    head: ClassVar[str] = "tagging"
    labels_are: ClassVar = "text"
    needs: ClassVar = "both"
    reads_pictures: ClassVar[bool] = True
    habits: ClassVar[Habits] = Habits(size="nano")

    @classmethod
    def read(
        cls, path: str | Path, *, text: Sequence[str] | None, label: str | None, split: Split
    ) -> LabelledSet:
        """Rows that are texts already need no writing down."""
        del text, label, split
        raise UsageError(
            f"{path} holds text, and speech_recognition reads recordings; name a table whose column names their files"
        )

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Only recordings are spoken."""
        cut = rows.facts.get("cut", {})
        if cut.get("modality") != "audio":
            raise UsageError(
                f"{rows.examples[0].path} is no recording, and {name} writes down what is said; for pictures and clips "
                "choose --task captioning"
            )
        return cls(name)

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """Nothing is kept but the name."""
        return cls(str(card["task"]))

    @property
    def head_options(self) -> dict[str, Any]:
        """One output a token, and the blank."""
        assert self.words is not None
        return {"classes": self.words.size}

    def remark(self, rows: LabelledSet) -> str:
        """How many texts, and the first of them."""
        first = (rows.examples[0].label or "")[:60]
        return f"{len(rows):,} recordings with what is said in {rows.label_column}, the first: {first}"

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """Only an encoder of spectrograms."""
        if isinstance(start.settings, TransformerSettings):
            return self
        raise SettingsError(f"{path} is no encoder of recordings; begin with another run, or with 'scratch'")

    def extended(
        self, start: StartingPoint, rows: LabelledSet, check: Callable[[], None]
    ) -> tuple[StartingPoint, Self]:
        """A vocabulary of the training texts; one that is there stays."""
        texts = [example.label or "" for example in rows.examples]
        words = start.words or Tokenizer.learn(
            texts, vocabulary_size_for(sum(map(len, texts))), lambda *_: check()
        )
        return replace(start, words=words), replace(self, words=words)

    def objective(self, settings: ObjectiveSettings, sequencer: Patches) -> CTC:
        """All paths that read as the text."""
        del settings
        assert self.words is not None
        return CTC(sequencer, self.words)

    def rows(self, examples: Sequence[Example], sequencer: Patches) -> DescribedRows:
        """What is heard, and the text of each."""
        del sequencer
        assert self.words is not None
        return DescribedRows.of(examples, self.words)

    def unread(self, examples: Sequence[Example], sequencer: Patches, length: int) -> str:
        """Texts of more tokens than a recording has columns cannot be learnt."""
        del length
        assert self.words is not None
        sizes = [len(tokens) for tokens in self.words.encode_batch([row.label or "" for row in examples])]
        if not (long := sum(size > sequencer.columns for size in sizes)):
            return ""
        return (
            f"{long:,} of {len(sizes):,} texts have more tokens than the {sequencer.columns} columns of a spectrogram "
            "and are not learnt: a smaller --set model.patch makes more of them"
        )

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """Nats a text, and the error rate of words."""
        objective = CTC(patches_in(reader.sequencer, "this run"), reader.tokenizer)
        rows = DescribedRows.of(examples, reader.tokenizer)
        targets = TargetTexts.of(rows.texts, reader.tokenizer, reader.length)

        def nats(batch: Batch) -> torch.Tensor:
            nobody = Draws(0, 0, batch.items.numpy())
            task = objective.prepare(targets.into(batch).to(reader.device), nobody)
            return objective.nats(reader.model, task)[:, None]

        def judged() -> dict[str, float]:
            texts = self._written(reader, rows.seen)
            found = recognition_report(texts, [example.label or "" for example in examples])
            loss = float(reader.of_every_row(nats, rows.seen).mean())
            return {"loss": loss, "wer": found.word_error_rate.value}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> RecognitionReport:
        """The most probable path of every recording."""
        del say
        texts = self._written(reader, [cast(Pixels, row.pixels) for row in given.examples])
        return recognition_report(texts, [example.label or "" for example in given.examples])

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """What is said in each."""
        heard = [content for content in contents if not isinstance(content, tuple)]
        for text in self._written(reader, heard):
            yield {"text": text}

    def _written(self, reader: Reader, heard: Sequence[Pixels]) -> list[str]:
        objective = CTC(patches_in(reader.sequencer, "this run"), reader.tokenizer)
        scores = reader.of_every_row(lambda batch: objective.scores(reader.model, batch), heard)
        paths = objective.read(torch.from_numpy(scores)) if len(heard) else []
        return [reader.tokenizer.decode(np.array(path, np.int64)).strip() for path in paths]
