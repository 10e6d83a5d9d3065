"""Documents taken out of a batch, rewritten, and put into a batch again. Shape letters: B rows, T tokens."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.assembly import assemble
from headwater.data.tokenizer import Tokenizer
from headwater.sequence import Batch, SequenceLayout

Tokens = NDArray[np.int64]
_ENDS = tuple(mark.encode() for mark in (".", "!", "?", "。", "！", "？", "…", "\n"))
_CLOSING = b"\"')]} \xe2\x80\x9d\xe2\x80\x99"


def documents_of(batch: Batch) -> list[Tokens]:
    """The tokens of each item of a batch, [CLS] and [SEP] included: rows in order, documents in order inside a row."""
    documents, inputs = batch.layout.documents.numpy(), batch.inputs.numpy()
    found: list[Tokens] = []
    for row, tokens in zip(documents, inputs, strict=True):
        found += [tokens[row == number] for number in range(int(row.max()) + 1)]
    return found


def one_a_row(documents: Sequence[Tokens], padding: int) -> tuple[torch.Tensor, SequenceLayout]:
    """Inputs (B, T) and their layout: one document a row, padded on the right."""
    lengths = np.array([len(document) for document in documents], np.int64)
    sizes, width = np.ones(len(documents), np.int64), int(lengths.max())
    return assemble(np.concatenate(documents), lengths, row_sizes=sizes, width=width, padding=padding)


def rewritten(batch: Batch, documents: Sequence[Tokens], padding: int) -> Batch:
    """The batch with these documents in the place of its own."""
    inputs, layout = one_a_row(documents, padding)
    return replace(batch, inputs=inputs, layout=layout)


def with_targets(batch: Batch, sources: Sequence[Tokens], targets: Sequence[Tokens], padding: int) -> Batch:
    """A batch that reads ``sources`` and is to write ``targets``."""
    inputs, layout = one_a_row(targets, padding)
    return replace(rewritten(batch, sources, padding), targets=inputs, target_layout=layout)


def content_of(document: Tokens, tokenizer: Tokenizer) -> Tokens:
    """A document without its special tokens."""
    return document[~tokenizer.word_rules.special[document]]


def sentence_ends(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """(V,) True for the tokens after which a sentence is over, in any script."""
    return np.array([piece.rstrip(_CLOSING).endswith(_ENDS) for piece in tokenizer.pieces])
