"""The labelled rows that a user fine-tunes on."""

from dataclasses import dataclass
from typing import Any

from headwater.data.examples import LabelledSet
from headwater.data.problems import Problems
from headwater.data.readers import read_labelled
from headwater.data.splits import text_digest
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
        if not set(validation.labels) & set(train.labels):
            raise BadDataError(
                f"no row of {data.validation} carries a label of the training file ({', '.join(train.labels[:5])}); "
                f"found {', '.join(validation.labels[:5])}; give a validation file of the same task"
            )
        return cls(train, validation, train.labels)

    def remarks(self) -> list[str]:
        """What a person should know before trusting what is learnt from these rows."""
        counts = ", ".join(f"{name} {count:,}" for name, count in list(self.train.label_counts().items())[:8])
        found = [
            f"{len(self.train):,} rows with {len(self.names)} labels in column '{self.train.label_column}' ({counts}); "
            f"text: {', '.join(self.train.text_columns)}",
            *left_out(self.train.problems),
        ]
        if self.validation is not None:
            found += left_out(self.validation.problems)
            learnt = {text_digest(example.text) for example in self.train.examples}
            if seen := sum(text_digest(example.text) in learnt for example in self.validation.examples):
                found.append(
                    f"{seen:,} of {len(self.validation):,} validation rows stand in the training file too: their score "
                    "says nothing about new rows"
                )
        return found

    def facts(self) -> dict[str, Any]:
        """What data.json says of them."""
        return {
            "train": {"rows": len(self.train), "labels": self.train.label_counts()},
            "validation": {"rows": len(self.validation)} if self.validation else None,
            "text": list(self.train.text_columns),
            "label": self.train.label_column,
            "problems": self.train.problems.to_dict(),
        }


def left_out(problems: Problems) -> list[str]:
    """One line that says what could not be used; none where everything was."""
    return [problems.summary()] if problems.total or problems.files else []
