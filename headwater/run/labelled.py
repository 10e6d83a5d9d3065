"""The labelled rows that a user fine-tunes on."""

from dataclasses import dataclass
from typing import Any

from headwater.data.examples import LabelledSet
from headwater.data.readers import read_labelled
from headwater.errors import BadDataError, UsageError
from headwater.run.settings import DataSettings


@dataclass(frozen=True, slots=True)
class LabelledData:
    """The rows to learn from, the rows to check on, and the labels by number."""

    train: LabelledSet
    validation: LabelledSet | None
    names: tuple[str, ...]

    @classmethod
    def read(cls, data: DataSettings) -> "LabelledData":
        """Read the training file, and the validation file where the user has one."""
        if len(data.paths) != 1:
            raise UsageError(
                f"fine-tuning takes one training file or folder; found {len(data.paths)}: {', '.join(data.paths)}"
            )
        train = read_labelled(data.paths[0], text=data.text, label=data.label, split="train")
        if len(train.labels) < 2:
            raise BadDataError(
                f"{data.paths[0]} holds {len(train.labels)} label(s) in column '{train.label_column}': "
                f"{', '.join(train.labels)}; classification needs at least two"
            )
        if data.validation is None:
            return cls(train, None, train.labels)
        validation = read_labelled(
            data.validation, text=train.text_columns, label=train.label_column, split="validation"
        )
        return cls(train, validation, train.labels)

    def facts(self) -> dict[str, Any]:
        """What data.json says of them."""
        return {
            "train": {"rows": len(self.train), "labels": self.train.label_counts()},
            "validation": {"rows": len(self.validation)} if self.validation else None,
            "text": list(self.train.text_columns),
            "label": self.train.label_column,
            "problems": self.train.problems.to_dict(),
        }
