"""What tasks have in common that write a text of what is seen or heard: patches in, tokens out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

from headwater.data.batches import BatchStream
from headwater.data.examples import Example, LabelledSet
from headwater.data.kinds import Split
from headwater.data.pool import vocabulary_size_for
from headwater.data.problems import place_of
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, Tokenizer, patches_in
from headwater.data.targets import TargetTexts
from headwater.errors import UsageError
from headwater.evaluation.metrics.written import Written
from headwater.run.deriving import Habits
from headwater.run.fitting import encode, labelled_batches
from headwater.run.settings import TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH, StartingPoint
from headwater.run.tasks.classification import not_read
from headwater.run.tasks.task import Parts, Task


@dataclass(frozen=True)
class MediaTextTask(Task[Patches]):
    """One text a picture, recording or clip, in a vocabulary that is learnt from the training texts."""

    words: Tokenizer | None = None
    """None until the training texts are known."""

    labels_are: ClassVar = "text"
    reads_pictures: ClassVar[bool] = True
    habits: ClassVar[Habits] = Habits(size="nano")

    @classmethod
    def read(
        cls, path: str | Path, *, text: Sequence[str] | None, label: str | None, split: Split
    ) -> LabelledSet:
        """Rows that are texts themselves are neither seen nor heard."""
        del text, label, split
        raise UsageError(
            f"{path} holds text, and this task reads pictures, recordings or clips; name a folder of these, or a table "
            "that names them; for text choose --task translation, summarization or generation"
        )

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """Nothing is kept but the name: the words stand in the model's folder."""
        return cls(str(card["task"]))

    @classmethod
    def parts(cls, rows: LabelledSet, *, validate: bool) -> Parts:
        """Each text is learnt from, of what has several."""
        del validate
        each = [row._replace(label=text, more=()) for row in rows.examples for text in row.references]
        return Parts(replace(rows, examples=each))

    def remark(self, rows: LabelledSet) -> str:
        """How many texts, and the first of them."""
        first = (rows.examples[0].label or "")[:60]
        return (
            f"{len(rows):,} rows with a text each in {rows.label_column}, the first: {first}{not_read(rows)}"
        )

    def knowing_words(
        self, start: StartingPoint, rows: LabelledSet, check: Callable[[], None]
    ) -> tuple[StartingPoint, Self]:
        """A vocabulary of the training texts; one that the model has stays."""
        texts = [example.label or "" for example in rows.examples]
        words = start.words or Tokenizer.learn(
            texts, vocabulary_size_for(sum(map(len, texts))), lambda *_: check()
        )
        return replace(start, words=words), replace(self, words=words)

    def rows(self, examples: Sequence[Example], sequencer: Patches) -> "MediaTexts":
        """What is seen or heard, and the text of each."""
        del sequencer
        return MediaTexts.of(examples, self.known)

    @property
    def known(self) -> Tokenizer:
        """The words of a task that has seen its training texts."""
        assert self.words is not None
        return self.words


def source_of(example: Example) -> str:
    """The file of a picture, recording or clip, and which it is where a file holds many."""
    return place_of(example.path, example.row if example.row > 1 else 0)


def beside(examples: Sequence[Example], texts: Sequence[str]) -> list[Written]:
    """What was written of each, beside the text it has."""
    return [
        Written(source_of(example), example.label or "", text)
        for example, text in zip(examples, texts, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class MediaTexts:
    """Pictures, recordings or clips, and the tokens of a text for each."""

    seen: Sequence[Pixels]
    texts: Sequence[Any]
    words: Tokenizer

    @classmethod
    def of(cls, examples: Sequence[Example], words: Tokenizer) -> "MediaTexts":
        """Encode the texts."""
        seen = [cast(Pixels, example.pixels) for example in examples]
        return cls(seen, encode([example.label or "" for example in examples], words), words)

    def targets(self, length: int) -> TargetTexts:
        """The texts as batches hold them."""
        return TargetTexts.of(self.texts, self.words, length)

    def batches(self, patches: Patches, training: TrainingSettings) -> BatchStream:
        """Training batches over these rows, as a run's settings say; not mirrored unless that is asked for."""
        upright = replace(training, mirrored=bool(training.mirrored))
        texts = self.targets(training.length or DEFAULT_LENGTH)
        return labelled_batches(self.seen, texts, patches_in(patches, "this run"), upright)

    def __len__(self) -> int:
        return len(self.seen)
