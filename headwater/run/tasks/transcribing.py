"""Speech recognition as a run does it: the words of a recording, column by column of its spectrogram."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch

from headwater.data.examples import Content, Example, LabelledSet, arrays_in
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, patches_in
from headwater.errors import SettingsError, UsageError
from headwater.evaluation.metrics.recognition import RecognitionReport, recognition_report
from headwater.evaluation.metrics.written import Written
from headwater.models import TransformerSettings
from headwater.objectives import CTC
from headwater.randomness import Draws
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.starting import StartingPoint
from headwater.run.tasks.media_texts import MediaTexts, MediaTextTask, beside, source_of
from headwater.run.tasks.task import Say
from headwater.sequence import Batch


@dataclass(frozen=True)
class TranscribingTask(MediaTextTask):
    """One text a recording, told by connectionist temporal classification."""

    head: ClassVar[str] = "tagging"
    needs: ClassVar = "both"
    reads_whole: ClassVar = True

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Only recordings are spoken."""
        if rows.facts.get("cut", {}).get("modality") != "audio":
            raise UsageError(
                f"{rows.examples[0].path} is no recording, and {name} writes down what is said; for pictures and clips "
                "choose --task captioning"
            )
        return cls(name)

    @property
    def head_options(self) -> dict[str, Any]:
        """One output a token, the padding token being the blank."""
        return {"classes": self.known.size}

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """Only an encoder of spectrograms."""
        if isinstance(start.settings, TransformerSettings):
            return self
        raise SettingsError(f"{path} is no encoder of recordings; begin with another run, or with 'scratch'")

    def extended(
        self, start: StartingPoint, rows: LabelledSet, check: Callable[[], None]
    ) -> tuple[StartingPoint, Self]:
        """A vocabulary alone."""
        return self.knowing_words(start, rows, check)

    def objective(self, settings: ObjectiveSettings, sequencer: Patches) -> CTC:
        """All paths that read as the text."""
        del settings
        return CTC(sequencer, self.known)

    def unread(self, examples: Sequence[Example], sequencer: Patches, length: int) -> str:
        """Texts of more tokens than a recording has columns cannot be learnt."""
        del length
        sizes = [len(tokens) for tokens in self.known.encode_batch([row.label or "" for row in examples])]
        if not (long := sum(size > sequencer.columns for size in sizes)):
            return ""
        return (
            f"{long:,} of {len(sizes):,} texts have more tokens than the {sequencer.columns} columns of a spectrogram "
            "and are not learnt: a smaller --set model.patch makes more of them"
        )

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """Nats a text, and the error rate of words."""
        objective = CTC(patches_in(reader.sequencer, "this run"), reader.tokenizer)
        rows = MediaTexts.of(examples, reader.tokenizer)
        targets = rows.targets(reader.length)

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
        texts = self._written(reader, MediaTexts.of(given.examples, reader.tokenizer).seen)
        references = [example.label or "" for example in given.examples]
        return recognition_report(texts, references, sources=list(map(source_of, given.examples)))

    def written_of(self, reader: Reader, examples: Sequence[Example]) -> Sequence[Written]:
        """The most probable path, as ``report`` reads it."""
        return beside(examples, self._written(reader, MediaTexts.of(examples, reader.tokenizer).seen))

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """What is said in each."""
        heard = arrays_in(contents)
        for text in self._written(reader, heard):
            yield {"text": text}

    def _written(self, reader: Reader, heard: Sequence[Pixels]) -> list[str]:
        objective = CTC(patches_in(reader.sequencer, "this run"), reader.tokenizer)
        scores = reader.of_every_row(lambda batch: objective.scores(reader.model, batch), heard)
        paths = objective.read(torch.from_numpy(scores)) if len(heard) else []
        return [reader.tokenizer.decode(np.array(path, np.int64)).strip() for path in paths]
