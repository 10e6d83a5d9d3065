"""What fine-tuning has to know of a task: which rows it reads, what is learnt from them, how answers are judged."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from headwater.data.batches import BatchStream
from headwater.data.examples import Example, LabelledSet
from headwater.data.files import Split
from headwater.data.readers import read_labelled
from headwater.data.readers.columns import LabelKind
from headwater.data.tokenizer import Tokenizer
from headwater.objectives import Objective
from headwater.objectives.objective import Reads
from headwater.run.deriving import Habits
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings, TrainingSettings

Say = Callable[[str], None]


class Rows(Protocol):
    """Labelled rows as the model reads them."""

    def __len__(self) -> int: ...
    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> BatchStream:
        """Training batches over these rows, as a run's settings say."""
        ...


class Report(Protocol):
    """What is found of predictions on test rows; each kind of task has its own."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; every estimate with its interval."""
        ...


@dataclass(frozen=True)
class Task(ABC):
    """One kind of labelled task, with what was learnt of it from the training rows."""

    name: str

    head: ClassVar[str | None]
    labels_are: ClassVar[LabelKind] = "class"
    needs: ClassVar[Reads] = "any"
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
        """The usable rows of a file or of one part of a folder."""
        return read_labelled(path, text=text, label=label, split=split, labels=cls.labels_are)

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

    @abstractmethod
    def remark(self, rows: LabelledSet) -> str:
        """What was understood of the training rows, in one line."""

    @abstractmethod
    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> Objective:
        """What is trained."""

    @abstractmethod
    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> Rows:
        """The rows as the model reads them."""

    @abstractmethod
    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """What is measured on validation rows while training: ``loss``, and what people look at."""

    @abstractmethod
    def report(self, reader: Reader, given: LabelledSet, say: Say) -> Report:
        """How good the answers to test rows are, with intervals."""

    @abstractmethod
    def answers(self, reader: Reader, texts: Sequence[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
        """The answer to each row of texts, in their order."""
