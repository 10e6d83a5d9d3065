"""Texts written from what is seen or heard: captions of pictures and clips, words of recordings.

An encoder of patches, as it was pre-trained, and a decoder behind it that writes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor

from headwater.data.examples import Content, Example, LabelledSet, arrays_in
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, patches_in
from headwater.errors import SettingsError
from headwater.evaluation.metrics.recognition import RecognitionReport, recognition_report
from headwater.evaluation.metrics.text import TextReport, bleu_of, text_report
from headwater.evaluation.metrics.written import Written
from headwater.models import EncoderDecoderSettings, TransformerSettings
from headwater.models.tower_sizes import describing_decoder
from headwater.objectives import SequenceToSequence
from headwater.run.generating import BEAMS, Author, Decoding
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.starting import StartingPoint
from headwater.run.tasks.media_texts import MediaTexts, MediaTextTask, beside, source_of
from headwater.run.tasks.task import Say
from headwater.sequence import Batch

WATCHED = 100
"""Validation rows that are written out at every evaluation."""


@dataclass(frozen=True)
class DescribingTask(MediaTextTask):
    """One text a picture, recording or clip, token by token."""

    head: ClassVar[str] = "next_token"
    needs: ClassVar = "source"

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Any text will do."""
        del rows
        return cls(name)

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """Only what reads patches."""
        if isinstance(start.settings, EncoderDecoderSettings | TransformerSettings):
            return self
        raise SettingsError(f"{path} is no Transformer, and {self.name} needs one; begin with another run")

    def extended(
        self, start: StartingPoint, rows: LabelledSet, check: Callable[[], None]
    ) -> tuple[StartingPoint, Self]:
        """A decoder of the encoder's size; one that is there stays."""
        start, task = self.knowing_words(start, rows, check)
        if isinstance(start.settings, TransformerSettings):
            start = start.writing(describing_decoder(start.settings, task.known.size), task.known)
        return start, task

    def objective(self, settings: ObjectiveSettings, sequencer: Patches) -> SequenceToSequence:
        """The text token by token."""
        del sequencer
        return SequenceToSequence(self.known, label_smoothing=settings.label_smoothing or 0.0)

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """Nats a token over all rows; BLEU of the first hundred, or how many of their words are wrong."""
        rows, objective = MediaTexts.of(examples, reader.tokenizer), SequenceToSequence(reader.tokenizer)
        targets, references = rows.targets(reader.length), [row.references for row in examples[:WATCHED]]

        def of(batch: Batch) -> Tensor:
            return objective.likelihoods(reader.model, targets.into(batch).to(reader.device))

        def judged() -> dict[str, float]:
            found = reader.of_every_row(of, rows.seen)
            texts = self._written(reader, rows.seen[:WATCHED], Decoding(temperature=0.0))
            if _hears(reader):
                told = {
                    "wer": recognition_report(
                        texts, [first for first, *_ in references]
                    ).word_error_rate.value
                }
            else:
                bleu, _ = bleu_of(texts, references, rng=np.random.default_rng(0), resamples=1)
                told = {"bleu": bleu.value}
            return {"loss": float(-found[:, 0].sum() / found[:, 1].sum()), **told}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> TextReport | RecognitionReport:
        """Every test row is written with five beams."""
        del say
        rows = MediaTexts.of(given.examples, reader.tokenizer)
        texts = self._written(reader, rows.seen, Decoding(beam=BEAMS))
        sources = list(map(source_of, given.examples))
        if _hears(reader):
            said = [example.label or "" for example in given.examples]
            return recognition_report(texts, said, sources=sources)
        return text_report(texts, [example.references for example in given.examples], sources=sources)

    def written_of(self, reader: Reader, examples: Sequence[Example]) -> Sequence[Written]:
        """With five beams, as ``report`` does."""
        seen = MediaTexts.of(examples, reader.tokenizer).seen
        return beside(examples, self._written(reader, seen, Decoding(beam=BEAMS)))

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """What is written of each, with five beams."""
        pictures = arrays_in(contents)
        for answer in Author(reader, answers=True).describe(pictures, Decoding(beam=BEAMS)):
            yield {"text": answer["text"], "score": answer["score"]}

    def _written(self, reader: Reader, pictures: Sequence[Pixels], decoding: Decoding) -> list[str]:
        def watch(done: int) -> None:
            del done
            if reader.check is not None:
                reader.check()

        return [answer["text"] for answer in Author(reader, answers=True).describe(pictures, decoding, watch)]


def _hears(reader: Reader) -> bool:
    """Whether what is written down was spoken: then words are right or wrong, and no caption is like another."""
    return patches_in(reader.sequencer, "this run").mel is not None
