"""A classifier that begins as a linear probe: what can be read off the vectors need not be learnt by steps."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.sequencers import Tokenizer
from headwater.evaluation.probes import linear_reader
from headwater.nn.heads import JointHead, SequenceHead
from headwater.run.fitting import EncodedRows, Input
from headwater.run.reading import Reader

HEAD = "classification"
MOST_ROWS = 4096
"""Rows that the probe is fitted on."""


def begin_as_probe(reader: Reader, rows: EncodedRows) -> None:
    """Set the last map of a classification head to a logistic regression on what reaches it, for pictures
    and pairs.

    Random weights there send random gradients through a backbone that knows better. Source: Kumar et al. 2022,
    arXiv:2202.10054.
    """
    if (head := _head(reader)) is None:
        return
    some = rows.some(MOST_ROWS)
    vectors = features_of(reader, some.inputs)
    if vectors is None or some.labels.ndim != 1:  # several labels a row are no classes
        return
    last = head.classifier
    biased = last.bias is not None  # pyright: ignore[reportUnnecessaryComparison]  # a decoder's layout has none
    weights, biases = linear_reader(vectors, some.labels, last.out_features, biased=biased)
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weights))
        if biased:
            last.bias.copy_(torch.from_numpy(biases))


def features_of(reader: Reader, inputs: Sequence[Input]) -> NDArray[np.float32] | None:
    """What reaches the last map of a classification head, for pictures and pairs: (rows, width).

    None where there is no such; where the model has no head at all, its vectors are what is trained.
    """
    if not len(inputs) or isinstance(reader.sequencer, Tokenizer):
        return None
    if not len(reader.model.heads):
        return reader.vectors(inputs)
    if _head(reader) is None:
        return None
    return reader.of_every_row(lambda batch: reader.model.features(HEAD, batch), inputs)


def _head(reader: Reader) -> SequenceHead | JointHead | None:
    head = dict(reader.model.heads.items()).get(HEAD)
    if isinstance(reader.sequencer, Tokenizer):
        return None
    return head if isinstance(head, SequenceHead | JointHead) else None
