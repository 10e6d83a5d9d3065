"""Tokens put side by side: from flat arrays to the tensors that a model reads.

Shape letters: B rows, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.tokenizer import Tokenizer
from headwater.errors import UsageError
from headwater.sequence import PADDING, Batch, SequenceLayout

Integers = NDArray[np.int64]
Example = NDArray[np.integer[Any]] | tuple[NDArray[np.integer[Any]], ...]


def cut_into_batches(widths: Integers, tokens_per_batch: int, max_rows: int) -> Integers:
    """Where each batch ends, for rows from the widest to the narrowest: rows × widest ≤ ``tokens_per_batch``.

    A batch is exactly as wide as its widest row: rounding widths up to multiples of 8 costs 5 % on sentences.
    """
    ends: list[int] = []
    start = 0
    while start < len(widths):
        start += min(max_rows, max(1, tokens_per_batch // int(widths[start])))
        ends.append(min(start, len(widths)))
    return np.array(ends, np.int64)


def assemble(
    tokens: Integers, lengths: Integers, *, row_sizes: Integers, width: int, padding: int
) -> tuple[torch.Tensor, SequenceLayout]:
    """Rows of ``width`` tokens: (B, T) inputs and their layout.

    ``tokens`` are those of all documents one after another, ``lengths`` says how many belong to each, and
    ``row_sizes`` (B,) how many documents stand in each row.
    """
    if len(row_sizes) == len(lengths):
        return _one_document_a_row(tokens, lengths, width, padding)
    row_lengths = np.add.reduceat(lengths, np.cumsum(row_sizes) - row_sizes)
    real = np.arange(width) < row_lengths[:, None]
    documents = np.full(real.shape, PADDING)
    documents[real] = np.repeat(_counted(row_sizes), lengths)
    positions = np.zeros(real.shape, np.int64)
    positions[real] = _counted(lengths)
    layout = SequenceLayout(torch.from_numpy(documents), torch.from_numpy(positions), contiguous=True)
    return _filled(tokens, real, padding), layout


def _one_document_a_row(
    tokens: Integers, lengths: Integers, width: int, padding: int
) -> tuple[torch.Tensor, SequenceLayout]:
    if (lengths == lengths[0]).all():
        # Nothing to pad: the promise lets attention run without any mask.
        rows = torch.from_numpy(tokens.reshape(len(lengths), -1))
        return rows, SequenceLayout.dense(*rows.shape)
    layout = SequenceLayout.padded(torch.from_numpy(lengths), width)
    return _filled(tokens, np.arange(width) < lengths[:, None], padding), layout


def _filled(tokens: Integers, real: NDArray[np.bool_], padding: int) -> torch.Tensor:
    inputs = np.full(real.shape, padding, np.int64)
    inputs[real] = tokens
    return torch.from_numpy(inputs)


def _counted(sizes: Integers) -> Integers:
    """0 … sizes[0] − 1, 0 … sizes[1] − 1, and so on."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def runs(first: Integers, sizes: Integers) -> Integers:
    """first[i], first[i] + 1, …, sizes[i] numbers for every i, one after another."""
    return np.repeat(first, sizes) + _counted(sizes)


@dataclass(frozen=True, slots=True)
class FramedExamples:
    """Examples as [CLS] text [SEP] or [CLS] first text [SEP] second text [SEP], cut to a length."""

    tokens: Integers  # of all examples one after another
    offsets: Integers  # (examples + 1,)
    padding: int

    @classmethod
    def of(cls, examples: Sequence[Example], tokenizer: Tokenizer, length: int) -> "FramedExamples":
        """Frame examples; where several texts do not fit together, the longest ones lose their ends first."""
        framed = [_frame(example, tokenizer, length) for example in examples]
        lengths = np.fromiter(map(len, framed), np.int64, len(framed))
        flat = np.concatenate([np.zeros(0, np.int64), *framed])
        return cls(flat, np.concatenate([[0], np.cumsum(lengths)]), tokenizer.pad)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """How many tokens each example has, special tokens included."""
        return np.diff(self.offsets)

    def batch(self, items: Integers, *, epoch: int = 0) -> Batch:
        """One padded batch of these examples, one a row."""
        lengths = self.lengths[items]
        tokens = self.tokens[runs(self.offsets[items], lengths)]
        sizes, width = np.ones(len(items), np.int64), int(lengths.max())
        inputs, layout = assemble(tokens, lengths, row_sizes=sizes, width=width, padding=self.padding)
        return Batch(inputs, layout, torch.from_numpy(items), epoch)


def _frame(example: Example, tokenizer: Tokenizer, length: int) -> Integers:
    parts = example if isinstance(example, tuple) else (example,)
    room = length - 1 - len(parts)
    if room < len(parts):
        raise UsageError(f"{length} tokens have no room for {len(parts)} texts; choose a greater length")
    limit = _longest_part([len(part) for part in parts], room)
    pieces = [np.array([tokenizer.cls], np.int64)]
    for part in parts:
        pieces += [part[:limit].astype(np.int64), np.array([tokenizer.sep], np.int64)]
    return np.concatenate(pieces)


def _longest_part(lengths: Sequence[int], room: int) -> int:
    """The greatest limit with which parts of these lengths, each cut to it, fit together."""
    limit = room // len(lengths)
    while limit < room and sum(min(length, limit + 1) for length in lengths) <= room:
        limit += 1
    return limit
