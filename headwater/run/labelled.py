"""The labelled rows that a user fine-tunes on."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from headwater.data.examples import LabelledSet
from headwater.data.pair_cut import RowCut, row_cut_of
from headwater.data.problems import Problems, place_of
from headwater.data.splits import known_digests
from headwater.errors import UsageError
from headwater.run.folder import RunFolder
from headwater.run.seen import keep_marks
from headwater.run.settings import DataSettings
from headwater.run.tasks import Task, task_kind


@dataclass(frozen=True, slots=True)
class LabelledData:
    """The rows to learn from, the rows to check on, and the task that they are rows of.

    ``test`` are rows that the task itself held out; they are asked once, when training is over.
    """

    task: Task[Any]
    train: LabelledSet
    validation: LabelledSet | None
    test: LabelledSet | None = None

    @classmethod
    def read(cls, data: DataSettings, task: str, cut: RowCut | None = None) -> "LabelledData":
        """Read the training file, and the validation file where the user has one; ``cut`` makes them pictures."""
        if len(data.paths) != 1:
            raise UsageError(
                f"fine-tuning takes one training file or folder; found {len(data.paths)}: {', '.join(data.paths)}"
            )
        kind = task_kind(task, media=cut is not None)
        given = kind.read_rows(data.paths[0], text=data.text, label=data.label, split="train", cut=cut)
        train, validation, test = kind.parts(given, validate=data.validation is None)
        learnt = kind.learnt_from(task, train)
        if data.validation is None:
            return cls(learnt, train, validation, test)
        validation = kind.read_rows(
            data.validation,
            text=train.text_columns,
            label=train.label_column if train.labels_in_column else data.label,
            split="validation",
            cut=cut and row_cut_of(train.facts["cut"]),
        )
        learnt.check(validation, data.validation)
        return cls(learnt, train, validation, test)

    def remarks(self) -> list[str]:
        """What a person should know before trusting what is learnt from these rows."""
        found = [self.task.remark(self.train), *left_out(self.train.problems)]
        if self.validation is not None and self.validation.problems is not self.train.problems:
            found += left_out(self.validation.problems)
            learnt = {digest for example in self.train.examples for digest in known_digests(example)}
            known = [not learnt.isdisjoint(known_digests(example)) for example in self.validation.examples]
            if seen := sum(known):
                pictures = ", or what is seen or heard in them," if self.train.examples[0].both else ""
                found.append(
                    f"{seen:,} of {len(self.validation):,} validation rows{pictures} stand in the training file too: "
                    "their score says nothing about new rows"
                )
        return found

    def write(self, folder: RunFolder) -> None:
        """``data.json``, and what tells later whether a row was among these; of a task whose rows go on, none."""
        folder.write_data(self.facts())
        texts = [text for example in self.train.examples for text in self.task.known_by(example)]
        if texts or self.train.examples[0].digest is not None:
            keep_marks(folder.path, self.train, texts)

    def place(self, example: int) -> str:
        """Where a row to learn from stands."""
        return place_of(self.train.examples[example].path, self.train.examples[example].row)

    def facts(self) -> dict[str, Any]:
        """What data.json says of them."""
        labels = self.train.label_counts() if self.task.labels_are == "class" else None
        return {
            "key": self._key(),
            "train": {"rows": len(self.train), "labels": labels},
            "validation": {"rows": len(self.validation)} if self.validation else None,
            "test": {"rows": len(self.test)} if self.test else None,
            **self.train.facts,
            "text": list(self.train.text_columns),
            "label": self.train.label_column,
            "problems": self.train.problems.to_dict(),
        }

    def _key(self) -> str:
        """Of all rows with their labels, in their order, and of how pictures among them are cut."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.train, self.validation, self.test):
            for example in () if part is None else part.examples:
                digest.update(
                    json.dumps([example.texts, example.label, example.digest], ensure_ascii=False).encode()
                )
            digest.update(b"|")
        digest.update(json.dumps(self.train.facts.get("cut"), sort_keys=True).encode())
        return digest.hexdigest()


def left_out(problems: Problems) -> list[str]:
    """What could not be used, and what was noted on the way; nothing where everything was used as it stood."""
    lost = [problems.summary()] if problems.total or problems.files else []
    return [*lost, *(f"{count:,} {fact}" for fact, count in problems.notes.items())]
