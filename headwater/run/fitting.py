"""Fine-tuning, composed: labelled rows → batches → objective → loop. One way for users and for gain's cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.batches import LabelledBatches, evaluation_batches
from headwater.data.examples import Example
from headwater.data.tokenizer import Tokenizer
from headwater.models import Model
from headwater.objectives import LabelledObjective
from headwater.run.settings import TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH
from headwater.training.precision import autocast

EVALUATION_TOKENS = 8_192
Tokens = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Labelled rows as token arrays, with the number of each label; -1 stands for a label not known."""

    tokens: Sequence[Tokens]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, examples: Sequence[Example], names: Sequence[str], tokenizer: Tokenizer) -> "EncodedRows":
        """Encode rows; several text columns are read as one text, as they were in pre-training."""
        number = {name: index for index, name in enumerate(names)}
        labels = [number.get(example.label or "", -1) for example in examples]
        return cls(
            encode([example.text for example in examples], tokenizer), np.array(labels, dtype=np.int64)
        )

    def take(self, rows: NDArray[np.int64]) -> "EncodedRows":
        """Some of the rows, in the order asked for."""
        return EncodedRows([self.tokens[row] for row in rows], self.labels[rows])

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> LabelledBatches:
        """Training batches over these rows, as a run's settings say."""
        return LabelledBatches(
            self.tokens,
            self.labels,
            tokenizer,
            rows=training.batch_rows or len(self),
            length=training.length or DEFAULT_LENGTH,
            seed=training.seed,
            parts=training.micro_batches or 1,
        )

    def __len__(self) -> int:
        return len(self.tokens)


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[Tokens]:
    """Token arrays of texts, without special tokens."""
    return list(tokenizer.encode_batch(list(texts)))


@torch.no_grad()
def probabilities_of(
    model: Model,
    objective: LabelledObjective,
    rows: EncodedRows,
    tokenizer: Tokenizer,
    *,
    length: int,
    precision: str = "fp32",
    device: torch.device | None = None,
    check: Callable[[], None] | None = None,
) -> NDArray[np.float32]:
    """The objective's scores of every row, in the order of the rows: (rows, labels)."""
    device = device or torch.device("cpu")
    model.eval()
    parts: list[NDArray[np.float32]] = []
    places: list[NDArray[np.int64]] = []
    for batch in evaluation_batches(
        rows.tokens, tokenizer, tokens_per_batch=EVALUATION_TOKENS, length=length
    ):
        if check is not None:
            check()
        with autocast(precision, device):
            parts.append(objective.scores(model, batch.to(device)).float().cpu().numpy())
        places.append(batch.items.numpy())
    return _in_order(parts, places)


@torch.no_grad()
def vectors_of(
    model: Model,
    tokens: Sequence[Tokens],
    tokenizer: Tokenizer,
    *,
    length: int,
    precision: str = "fp32",
    device: torch.device | None = None,
    check: Callable[[], None] | None = None,
) -> NDArray[np.float32]:
    """The mean of each row's last hidden states: (rows, width)."""
    device = device or torch.device("cpu")
    model.eval()
    parts: list[NDArray[np.float32]] = []
    places: list[NDArray[np.int64]] = []
    for batch in evaluation_batches(tokens, tokenizer, tokens_per_batch=EVALUATION_TOKENS, length=length):
        if check is not None:
            check()
        moved = batch.to(device)
        with autocast(precision, device):
            hidden_states = model.encode(moved)
        real = moved.layout.real[..., None].to(hidden_states.dtype)
        means = (hidden_states * real).sum(dim=1) / real.sum(dim=1).clamp_min(1)
        parts.append(means.float().cpu().numpy())
        places.append(batch.items.numpy())
    return _in_order(parts, places)


def _in_order(
    parts: Sequence[NDArray[np.float32]], places: Sequence[NDArray[np.int64]]
) -> NDArray[np.float32]:
    if not parts:
        return np.zeros((0, 0), dtype=np.float32)
    together = np.concatenate(parts)
    ordered = np.empty_like(together)
    ordered[np.concatenate(places)] = together
    return ordered
