"""Span corruption: whole stretches of a text are missing from the source, and only they are written.

Raffel et al. 2020, section 3.1.4, arXiv:1910.10683. One sentinel serves all stretches: [MASK] stands for each in the
source and in front of each in the target, so their order tells which is which.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.objectives.rewriting import Tokens, content_of, documents_of, with_targets
from headwater.objectives.sequence_to_sequence import SequenceToSequence, TargetTask
from headwater.randomness import Draws
from headwater.sequence import Batch


class SpanCorruption(SequenceToSequence):
    """[CLS] kept [MASK] kept [MASK] … [SEP] → [CLS] [MASK] missing [MASK] missing … [SEP].

    A ``share`` of the tokens is missing, in stretches of ``mean_length`` tokens on average.
    """

    name = "span_corruption"

    def __init__(self, tokenizer: Tokenizer, *, share: float = 0.15, mean_length: float = 3.0) -> None:
        super().__init__(tokenizer)
        if not 0.0 < share < 1.0 or not 1.0 <= mean_length < 100.0:
            raise SettingsError(
                f"objective.share = {share} and mean_length = {mean_length}; expected a share between 0 and 1 and "
                "stretches of 1 token or more"
            )
        self.share, self.mean_length = share, mean_length

    def prepare(self, batch: Batch, draws: Draws) -> TargetTask:
        """Draw the stretches of every document, and part it into what is read and what is written."""
        contents = [content_of(document, self.tokenizer) for document in documents_of(batch)]
        size = max(map(len, contents))
        kept, missing = (draws.uniform(f"{self.name} {side}", size) for side in ("kept", "missing"))
        pairs = [
            corrupted(content, spans(len(content), self.share, self.mean_length, numbers), self.tokenizer)
            for content, *numbers in zip(contents, kept, missing, strict=True)
        ]
        sources, targets = zip(*pairs, strict=True)
        return super().prepare(with_targets(batch, sources, targets, self.tokenizer.pad), draws)


def spans(
    length: int, share: float, mean_length: float, numbers: Sequence[NDArray[np.float64]]
) -> NDArray[np.bool_]:
    """True for the tokens that are missing: stretches kept and missing take turns, the first is kept.

    ``numbers`` are two rows of uniform draws that decide where the stretches of each kind are cut.
    """
    missing = np.zeros(length, np.bool_)
    if length < 2:
        return missing
    count = min(max(1, round(length * share)), length - 1)
    stretches = min(max(1, round(count / mean_length)), count, length - count)
    kept = parts(length - count, stretches, numbers[0])
    gone = parts(count, stretches, numbers[1])
    ends = np.cumsum(np.stack([kept, gone], axis=1).ravel())
    for start, stop in zip(ends[::2], ends[1::2], strict=True):
        missing[start:stop] = True
    return missing


def parts(total: int, count: int, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """``total`` as a sum of ``count`` whole numbers above 0, every such sum as probable as any other."""
    cuts = np.sort(np.argsort(numbers[: total - 1], kind="stable")[: count - 1]) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


def corrupted(content: Tokens, missing: NDArray[np.bool_], tokenizer: Tokenizer) -> tuple[Tokens, Tokens]:
    """Source and target of one text."""
    begins = missing & ~np.concatenate([[False], missing[:-1]])
    source = np.where(begins, tokenizer.mask, content)[~missing | begins]
    places = np.flatnonzero(begins)
    stretches = np.split(content[missing], np.cumsum(missing)[places][1:] - 1) if len(places) else []
    target = [part for stretch in stretches for part in ([tokenizer.mask], stretch)]
    cls, sep = [tokenizer.cls], [tokenizer.sep]
    return (
        np.concatenate([cls, source, sep]).astype(np.int64),
        np.concatenate([cls, *target, sep]).astype(np.int64),
    )


def restored(source: Tokens, target: Tokens, tokenizer: Tokenizer) -> Tokens:
    """The text that a source and a target were made from: the inverse of ``corrupted``."""
    pieces = np.split(target[1:-1], np.flatnonzero(target[1:-1] == tokenizer.mask))[1:]
    left = iter([piece[1:] for piece in pieces])
    whole = [next(left) if token == tokenizer.mask else np.array([token]) for token in source[1:-1]]
    return np.concatenate([np.zeros(0, np.int64), *whole])
