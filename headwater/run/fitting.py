"""Labelled rows as token arrays, and the batches that a run trains on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.data.assembly import Example as EncodedExample
from headwater.data.batches import LabelledBatches
from headwater.data.examples import Example
from headwater.data.targets import LabelledTexts, Labels, Targets, TargetTexts, WithinTheText
from headwater.data.tokenizer import Tokenizer
from headwater.run.settings import TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH

Tokens = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows with one number each: the number of its label (-1: a label not known), or a quantity."""

    tokens: Sequence[EncodedExample]
    labels: NDArray[Any]

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
        return labelled_batches(self.tokens, Labels(self.labels), tokenizer, training)

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class ComparedTexts:
    """Two texts a row that are read for themselves, and a number that is said of both."""

    first: Sequence[Tokens]
    second: Sequence[Tokens]
    labels: NDArray[Any]

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> LabelledBatches:
        """Training batches over these rows, as a run's settings say."""
        texts = TargetTexts.of(self.second, tokenizer, training.length or DEFAULT_LENGTH)
        return labelled_batches(self.first, LabelledTexts(texts, Labels(self.labels)), tokenizer, training)

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Sources, and a target text for each."""

    sources: Sequence[Tokens]
    targets: Sequence[Tokens]

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> LabelledBatches:
        """Training batches over these rows, as a run's settings say."""
        texts = TargetTexts.of(self.targets, tokenizer, training.length or DEFAULT_LENGTH)
        return labelled_batches(self.sources, texts, tokenizer, training)

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True, slots=True)
class JoinedTexts:
    """Sources with their targets behind them: one text each, for a model that only reads on."""

    texts: Sequence[tuple[Tokens, Tokens]]

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> LabelledBatches:
        """Training batches over these rows, as a run's settings say."""
        return labelled_batches(self.texts, WithinTheText(len(self.texts)), tokenizer, training)

    def __len__(self) -> int:
        return len(self.texts)


def labelled_batches(
    tokens: Sequence[EncodedExample], targets: Targets, tokenizer: Tokenizer, training: TrainingSettings
) -> LabelledBatches:
    """Training batches over rows and their targets, as a run's settings say."""
    return LabelledBatches(
        tokens,
        targets,
        tokenizer,
        rows=training.batch_rows or len(tokens),
        length=training.length or DEFAULT_LENGTH,
        seed=training.seed,
        parts=training.micro_batches or 1,
    )


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[Tokens]:
    """Token arrays of texts, without special tokens."""
    return list(tokenizer.encode_batch(list(texts)))


def said_of_long(texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer, length: int) -> str:
    """How many texts lose their end where ``length`` tokens are read, in one line; "" where none does.

    A text of several parts is framed as [CLS] first [SEP] second [SEP].
    """
    if not texts:
        return ""
    parts = encode([part for text in texts for part in text], tokenizer)
    counts = np.array([len(text) for text in texts])
    sizes = np.add.reduceat([len(part) for part in parts], np.cumsum(counts) - counts) + counts + 1
    if not (cut := int((sizes > length).sum())):
        return ""
    return (
        f"{cut:,} of {len(texts):,} texts are longer than {length} tokens and lose their end; the longest has "
        f"{sizes.max():,}: --set training.length={sizes.max()} reads all of it"
    )


def encode_pairs(texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer) -> list[EncodedExample]:
    """The texts of each row for themselves: they are framed as [CLS] first [SEP] second [SEP]."""
    columns = [encode(list(column), tokenizer) for column in zip(*texts, strict=True)]
    return [tuple(row) for row in zip(*columns, strict=True)]
