"""What a finished run answers: evaluate, predict, embed."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Example
from headwater.data.readers import read_labelled
from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError, UsageError
from headwater.evaluation.metrics import ClassificationReport, classification_report
from headwater.models import Model, load_bundle
from headwater.objectives import Classification
from headwater.run.fitting import EncodedRows, encode, probabilities_of, vectors_of
from headwater.run.folder import RunFolder
from headwater.run.starting import model_folder
from headwater.training.precision import count_free_cores, tune_allocator, use_threads
from headwater.training.progress import Progress

ROWS_AT_A_TIME = 1024
Texts = Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Answerer:
    """A shipped model that reads texts."""

    path: Path
    model: Model
    tokenizer: Tokenizer
    card: Mapping[str, Any]

    @classmethod
    def load(cls, folder: RunFolder) -> "Answerer":
        """Load the model folder of a finished run."""
        tune_allocator()
        use_threads(count_free_cores())
        bundle = load_bundle(model_folder(folder.path))
        return cls(folder.path, bundle.model.eval(), Tokenizer.load(bundle.tokenizer_path), bundle.card)

    @property
    def text_columns(self) -> tuple[str, ...] | None:
        """The text columns that the run was trained on, where it knows them."""
        return tuple(self.card["text"]) if self.card.get("text") else None

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self.model.backbone.width

    @property
    def length(self) -> int:
        """Tokens of a text that are read."""
        return int(self.card.get("length", 256))

    def predict(self, texts: Texts) -> Iterator[dict[str, Any]]:
        """The label of each text and the probability of every label."""
        objective = self._objective()
        for probabilities in self._probabilities(objective, texts):
            best = int(probabilities.argmax())
            shares = {
                name: round(float(p), 6) for name, p in zip(objective.labels, probabilities, strict=True)
            }
            yield {"label": objective.labels[best], "probabilities": shares}

    def embed(self, texts: Texts) -> NDArray[np.float32]:
        """One vector a text: (texts, width)."""
        tokens = encode(["\n".join(text) for text in texts], self.tokenizer)
        return vectors_of(self.model, tokens, self.tokenizer, length=self.length)

    def evaluate(
        self, test: Path, *, text: Sequence[str] | None, label: str | None, progress: Progress
    ) -> ClassificationReport:
        """Metrics on labelled rows; rows whose label the model has never seen are counted as wrong, and said."""
        objective = self._objective()
        given = read_labelled(
            test, text=text or self.text_columns, label=label or self.card.get("label"), split="test"
        )
        rows = EncodedRows.of(given.examples, objective.labels, self.tokenizer)
        if not len(rows):
            raise BadDataError(f"{test} holds no usable labelled rows: {given.problems.summary()}")
        unknown = sorted({example.label or "" for example in given.examples} - set(objective.labels))
        if unknown:
            progress.say(
                f"{int((rows.labels < 0).sum())} of {len(rows)} rows carry labels that {self.path} never saw in "
                f"training ({', '.join(unknown[:5])}); they count as wrong"
            )
        probabilities = probabilities_of(self.model, objective, rows, self.tokenizer, length=self.length)
        return classification_report(rows.labels, probabilities, objective.labels)

    def _objective(self) -> Classification:
        if self.card.get("task") != "classification":
            raise UsageError(
                f"{self.path} was trained for {self.card.get('task')}, which gives no labels; fine-tune it first: "
                f"headwater finetune {self.path} LABELS.csv"
            )
        return Classification(tuple(self.card["labels"]))

    def _probabilities(self, objective: Classification, texts: Texts) -> NDArray[np.float32]:
        tokens = encode(["\n".join(text) for text in texts], self.tokenizer)
        rows = EncodedRows(tokens, np.full(len(tokens), -1, dtype=np.int64))
        return probabilities_of(self.model, objective, rows, self.tokenizer, length=self.length)


def read_rows(rows: str, *, text: Sequence[str] | None) -> Iterator[list[Example]]:
    """Examples of a file or of standard input, about a thousand at a time.

    Standard input is JSON lines with the text columns, or plain text, one example a line.
    """
    if rows == "-":
        examples = (
            _from_line(line, number, text) for number, line in enumerate(sys.stdin, 1) if line.strip()
        )
    else:
        examples = iter(read_labelled(Path(rows), text=text, need_labels=False).examples)
    while part := list(islice(examples, ROWS_AT_A_TIME)):
        yield part


def _from_line(line: str, number: int, text: Sequence[str] | None) -> Example:
    stripped = line.strip()
    if stripped.startswith("{"):
        try:
            value = json.loads(stripped)
            return Example(
                tuple(str(value[name]) for name in text or ("text",)), None, "standard input", number
            )
        except (ValueError, KeyError) as problem:
            raise BadDataError(
                f"standard input line {number} is not JSON with the text column(s) {list(text or ('text',))}: {problem}"
            ) from problem
    return Example((stripped,), None, "standard input", number)
