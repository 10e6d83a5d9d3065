"""What fine-tuning has to know of a task: which rows it reads, what is learnt from them, how answers are judged."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

from headwater.data.batches import BatchStream
from headwater.data.examples import Content, Example, LabelledSet
from headwater.data.kinds import Split
from headwater.data.labelled_media import read_labelled_media
from headwater.data.labelled_pairs import read_labelled_pairs
from headwater.data.pair_cut import PairCut, RowCut
from headwater.data.pool import vocabulary_size_for
from headwater.data.readers import read_labelled
from headwater.data.readers.columns import LabelKind
from headwater.data.sequencers import Sequencing, Sides, Tokenizer
from headwater.errors import UsageError
from headwater.evaluation.metrics.written import Written
from headwater.models import Model
from headwater.objectives import Objective
from headwater.objectives.objective import Reads
from headwater.run.deriving import Habits
from headwater.run.fitting import said_of_long
from headwater.run.folder import RunFolder
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings, TrainingSettings
from headwater.run.starting import StartingPoint

Say = Callable[[str], None]


S = TypeVar("S", bound=Sequencing)
S_reads = TypeVar("S_reads", bound=Sequencing, contravariant=True)


class Rows(Protocol[S_reads]):
    """Labelled rows as the model reads them."""

    def __len__(self) -> int: ...
    def batches(self, sequencer: S_reads, training: TrainingSettings, /) -> BatchStream:
        """Training batches over these rows, as a run's settings say."""
        ...


class Report(Protocol):
    """What is found of predictions on test rows; each kind of task has its own."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; every estimate with its interval."""
        ...


class Parts(NamedTuple):
    """What of the user's rows is learnt from, what is looked at while training, what is asked at the end."""

    train: LabelledSet
    validation: LabelledSet | None = None
    test: LabelledSet | None = None


@dataclass(frozen=True)
class Task(ABC, Generic[S]):
    """One kind of labelled task, with what was learnt of it from the training rows.

    ``S`` is how its rows become sequences: a vocabulary, or patches as well.
    """

    name: str

    head: ClassVar[str | None]
    labels_are: ClassVar[LabelKind] = "class"
    needs: ClassVar[Reads] = "any"
    reads_pictures: ClassVar[bool] = False
    reads_both: ClassVar[bool] = False
    """Whether a row may be a pair of two kinds of things, read together."""
    compares: ClassVar[bool] = False
    """Whether a row is two texts."""
    reads_histories: ClassVar[bool] = False
    """Whether a row is what a user had, in the order of time."""
    reads_whole: ClassVar[bool] = False
    """Whether nothing of a recording may be missed."""
    habits: ClassVar[Habits] = Habits()

    @classmethod
    @abstractmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The task as the training rows tell it; BadDataError where they cannot."""

    @classmethod
    @abstractmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """The task of a shipped model."""

    @classmethod
    def read(
        cls, path: str | Path, *, text: Sequence[str] | None, label: str | None, split: Split
    ) -> LabelledSet:
        """The usable rows of a file or of one part of a folder, where the task reads text."""
        return read_labelled(path, text=text, label=label, split=split, labels=cls.labels_are)

    @classmethod
    def read_rows(
        cls,
        path: str | Path,
        *,
        text: Sequence[str] | None,
        label: str | None,
        split: Split,
        cut: RowCut | None,
    ) -> LabelledSet:
        """The usable rows of a file or of one part of a folder: texts, or what there is a ``cut`` for."""
        if cut is None:
            return cls.read(path, text=text, label=label, split=split)
        if not cls.reads_pictures:
            raise UsageError(
                f"this task reads text, and {path} holds {cut.what}; what they are is told by --task classification, "
                "multi_label_classification or regression"
            )
        if isinstance(cut, PairCut):
            if not cls.reads_both:
                raise UsageError(
                    "two sides of a row are read by --task classification, multi_label_classification or regression"
                )
            asked = cut.asking(text) if text else cut
            return read_labelled_pairs(path, cut=asked, label=label, split=split, labels=cls.labels_are)
        cut = cut.for_whole() if cls.reads_whole else cut
        return read_labelled_media(path, label=label, split=split, labels=cls.labels_are, cut=cut)

    @classmethod
    def parts(cls, rows: LabelledSet, *, validate: bool) -> Parts:
        """What a task holds out of its own training rows; most hold out nothing. ``validate``: the user does not."""
        del validate
        return Parts(rows)

    def in_run(self, folder: RunFolder) -> Self:
        """The task with what ``keep`` has left in the run's folder."""
        del folder
        return self

    def keep(self, folder: RunFolder, test: LabelledSet) -> None:
        """Leave in the run's folder, beside the model, what its reports need; ``test`` are the rows held out."""
        del folder, test

    @property
    def judged_columns(self) -> tuple[str, ...] | None:
        """The columns of rows that it is judged on, where they are not those of rows that it answers."""
        return None

    @property
    def card(self) -> dict[str, Any]:
        """What a shipped model must know to answer."""
        return {}

    @property
    def head_options(self) -> dict[str, Any]:
        """How its head is built."""
        return {}

    def check(self, validation: LabelledSet, path: str) -> None:
        """Refuse validation rows that are not of this task; most tasks can judge any row that could be read."""
        del validation, path

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """The task as such a model does it; SettingsError where it cannot. Most tasks suit every model."""
        del start, path
        return self

    @abstractmethod
    def remark(self, rows: LabelledSet) -> str:
        """What was understood of the training rows, in one line."""

    def known_by(self, example: Example) -> Sequence[str]:
        """The texts by which a row that was learnt from is known again; none where later rows go on with it."""
        written = self.labels_are in ("text", "passage") and example.label
        return [*dict.fromkeys([example.text, *example.texts]), *([example.label or ""] if written else [])]

    def vocabulary(
        self, examples: Sequence[Example], size: int | None, check: Callable[[], None]
    ) -> Tokenizer:
        """The vocabulary of a model that begins with these rows; ``check`` is asked now and then, raises to stop."""
        texts = [example.text for example in examples]
        if self.labels_are in ("text", "passage"):
            texts += [example.label or "" for example in examples]
        return Tokenizer.learn(texts, size or vocabulary_size_for(sum(map(len, texts))), lambda *_: check())

    def extended(
        self, start: StartingPoint, rows: LabelledSet, check: Callable[[], None]
    ) -> tuple[StartingPoint, Self]:
        """What the model begins as with all that the task adds to it, and the task that knows it; most add a head."""
        del rows, check
        return start, self

    def begin(self, model: Model, rows: Rows[S], check: Callable[[], None]) -> None:
        """What a model that begins with these rows is told before step 0; most begin at random."""
        del model, rows, check

    def window(self, rows: LabelledSet, start: StartingPoint) -> int:
        """How many tokens of a row are read at once: as many as the run that is begun from was trained to read."""
        del rows
        return start.length

    def amount(self, rows: LabelledSet, length: int) -> int:
        """How many rows an epoch visits where ``length`` tokens of each are read."""
        del length
        return len(rows)

    @abstractmethod
    def objective(self, settings: ObjectiveSettings, sequencer: S, /) -> Objective:
        """What is trained."""

    @abstractmethod
    def rows(self, examples: Sequence[Example], sequencer: S, /) -> Rows[S]:
        """The rows as the model reads them."""

    def unread(self, examples: Sequence[Example], sequencer: S, length: int, /) -> str:
        """What of these rows is not read or not learnt at that length, in one line; "" where all of it is."""
        words = sequencer.text if isinstance(sequencer, Sides) else sequencer
        if not isinstance(words, Tokenizer):
            return ""
        texts = [text for example in examples for text in self.read_as_one(example)]
        return said_of_long(texts, words, length)

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """The parts of each text that is cut where it is too long; none where longer texts are read in windows."""
        return [(example.text,)]

    @abstractmethod
    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """What is measured on validation rows while training: ``loss``, and what people look at."""

    def settled(self, reader: Reader, validation: Sequence[Example]) -> Self:
        """The task with what only a trained model and validation rows can decide; most tasks leave nothing open."""
        del reader, validation
        return self

    @abstractmethod
    def report(self, reader: Reader, given: LabelledSet, say: Say) -> Report:
        """How good the answers to test rows are, with intervals."""

    def written_of(self, reader: Reader, examples: Sequence[Example]) -> Sequence[Written]:
        """What is written of some rows that were not learnt from, to look at; most tasks write nothing."""
        del reader, examples
        return ()

    @abstractmethod
    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """The answer to each row, in their order."""
