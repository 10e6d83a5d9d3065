"""Labelled rows as a model reads them, and the batches that a run trains on or reads once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from headwater.data.assembly import Example as EncodedExample
from headwater.data.batches import BatchStream, LabelledBatches, evaluation_batches
from headwater.data.examples import Content, Example, arrays_in, texts_in
from headwater.data.picture_batches import PictureBatches, pictures_once
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Sequencing, Sides, Tokenizer
from headwater.data.targets import LabelledTexts, Labels, Targets, TargetTexts, WithinTheText
from headwater.run.pair_inputs import PairInput, pair_batches, pair_inputs
from headwater.run.settings import TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH
from headwater.run.views import views_of, views_of_side
from headwater.sequence import Batch

Tokens = NDArray[np.unsignedinteger]
Input = EncodedExample | Pixels | PairInput
"""What a model reads of a row: token arrays, a picture, or both sides of a pair."""
BATCH_TOKENS = 8_192


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Rows with one number each: the number of its label (-1: a label not known), or a quantity."""

    inputs: Sequence[Input]
    labels: NDArray[Any]

    @classmethod
    def of(cls, examples: Sequence[Example], names: Sequence[str], sequencer: Sequencing) -> "EncodedRows":
        """Encode rows and number their labels."""
        number = {name: index for index, name in enumerate(names)}
        labels = [number.get(example.label or "", -1) for example in examples]
        inputs = inputs_of([example.content for example in examples], sequencer)
        return cls(inputs, np.array(labels, dtype=np.int64))

    def take(self, rows: NDArray[np.int64]) -> "EncodedRows":
        """Some of the rows, in the order asked for."""
        return EncodedRows([self.inputs[row] for row in rows], self.labels[rows])

    def some(self, most: int) -> "EncodedRows":
        """At most so many of the rows, from all over."""
        return self.take(np.linspace(0, len(self) - 1, min(len(self), most)).astype(np.int64))

    def batches(self, sequencer: Sequencing, training: TrainingSettings) -> BatchStream:
        """Training batches over these rows, as a run's settings say."""
        return labelled_batches(self.inputs, Labels(self.labels), sequencer, training)

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, slots=True)
class ComparedTexts:
    """Two texts a row that are read for themselves, and a number that is said of both."""

    first: Sequence[Tokens]
    second: Sequence[Tokens]
    labels: NDArray[Any]

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> BatchStream:
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

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> BatchStream:
        """Training batches over these rows, as a run's settings say."""
        texts = TargetTexts.of(self.targets, tokenizer, training.length or DEFAULT_LENGTH)
        return labelled_batches(self.sources, texts, tokenizer, training)

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True, slots=True)
class JoinedTexts:
    """Sources with their targets behind them: one text each, for a model that only reads on."""

    texts: Sequence[tuple[Tokens, Tokens]]

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> BatchStream:
        """Training batches over these rows, as a run's settings say."""
        return labelled_batches(self.texts, WithinTheText(len(self.texts)), tokenizer, training)

    def __len__(self) -> int:
        return len(self.texts)


def labelled_batches(
    inputs: Sequence[Input], targets: Targets, sequencer: Sequencing, training: TrainingSettings
) -> BatchStream:
    """Training batches over rows and their targets, as a run's settings say."""
    rows, parts = training.batch_rows or len(inputs), training.micro_batches or 1
    if isinstance(sequencer, Sides):
        return pair_batches(
            cast(Sequence[PairInput], inputs),
            sequencer,
            training.length or DEFAULT_LENGTH,
            rows=max(1, rows // parts),
            seed=training.seed,
            views=lambda patches: views_of_side(training, patches),
            targets=targets,
        )
    if not isinstance(sequencer, Tokenizer):
        return PictureBatches(
            cast(Sequence[Pixels], inputs),
            sequencer,
            rows=max(1, rows // parts),
            seed=training.seed,
            views=views_of(training, sequencer),
            targets=targets,
        )
    return LabelledBatches(
        cast(Sequence[EncodedExample], inputs),
        targets,
        sequencer,
        rows=rows,
        length=training.length or DEFAULT_LENGTH,
        seed=training.seed,
        parts=parts,
    )


def read_once(inputs: Sequence[Input], sequencer: Sequencing, length: int) -> Iterator[Batch]:
    """Every row once; ``items`` of each batch are the numbers of its rows."""
    if isinstance(sequencer, Sides):
        pairs = cast(Sequence[PairInput], inputs)
        return pair_batches(pairs, sequencer, length).once() if pairs else iter(())
    if not isinstance(sequencer, Tokenizer):
        return pictures_once(cast(Sequence[Pixels], inputs), sequencer)
    tokens = cast(Sequence[EncodedExample], inputs)
    return evaluation_batches(tokens, sequencer, tokens_per_batch=BATCH_TOKENS, length=length)


def inputs_of(contents: Sequence[Content], sequencer: Sequencing) -> list[Input]:
    """Rows as a model reads them; several texts of a row are read as one, as they were in pre-training."""
    if isinstance(sequencer, Sides):
        return list(pair_inputs(contents, sequencer))
    if not isinstance(sequencer, Tokenizer):
        return list(arrays_in(contents))
    return list(encode(["\n".join(filter(None, text)) for text in texts_in(contents)], sequencer))


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


def encode_pairs(contents: Sequence[Content], tokenizer: Tokenizer) -> list[Input]:
    """The texts of each row for themselves: they are framed as [CLS] first [SEP] second [SEP]."""
    columns = [encode(list(column), tokenizer) for column in zip(*texts_in(contents), strict=True)]
    return [tuple(row) for row in zip(*columns, strict=True)]
