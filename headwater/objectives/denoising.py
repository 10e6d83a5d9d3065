"""Denoising: a text with missing stretches and shuffled sentences is written as it was.

Lewis et al. 2020, section 2.2 (text infilling and sentence permutation), arXiv:1910.13461.
"""

import numpy as np
from numpy.typing import NDArray

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.objectives.rewriting import Tokens, content_of, documents_of, sentence_ends, with_targets
from headwater.objectives.sequence_to_sequence import SequenceToSequence, TargetTask
from headwater.randomness import Draws
from headwater.sequence import Batch

_LONGEST = 10
"""Of a missing stretch: the Poisson distribution is cut there."""


class Denoising(SequenceToSequence):
    """Sentences in another order, a ``share`` of the tokens missing → the text.

    Missing stretches have Poisson lengths around ``mean_length``, 0 included, and each leaves one [MASK]: how many
    tokens are missing must be found out too.
    """

    name = "denoising"

    def __init__(self, tokenizer: Tokenizer, *, share: float = 0.3, mean_length: float = 3.0) -> None:
        super().__init__(tokenizer)
        if not 0.0 < share < 1.0:
            raise SettingsError(
                f"objective.share = {share}: the share of missing tokens must lie between 0 and 1"
            )
        self.share = share
        self._ends = sentence_ends(tokenizer)
        self._lengths = _poisson(mean_length)

    def prepare(self, batch: Batch, draws: Draws) -> TargetTask:
        """Shuffle, then take stretches out, all by the draws of each item."""
        documents = documents_of(batch)
        contents = [content_of(document, self.tokenizer) for document in documents]
        size = max(1, max(map(len, contents)))
        orders, lengths, places = (
            draws.uniform(f"{self.name} {what}", size) for what in ("order", "lengths", "places")
        )
        sources = [
            self._noisy(content, *numbers)
            for content, *numbers in zip(contents, orders, lengths, places, strict=True)
        ]
        targets = [self._framed(content) for content in contents]
        return super().prepare(with_targets(batch, sources, targets, self.tokenizer.pad), draws)

    def _noisy(
        self,
        content: Tokens,
        order: NDArray[np.float64],
        lengths: NDArray[np.float64],
        places: NDArray[np.float64],
    ) -> Tokens:
        shuffled = self._shuffled(content, order)
        wanted = self.share * len(shuffled)
        drawn = np.searchsorted(self._lengths, lengths[: len(shuffled)], side="right")
        stretches = drawn[: int(np.searchsorted(np.cumsum(drawn), wanted)) + 1]
        while stretches.sum() > len(shuffled):
            stretches = stretches[:-1]
        return self._framed(_without(shuffled, stretches, places, self.tokenizer.mask))

    def _shuffled(self, content: Tokens, order: NDArray[np.float64]) -> Tokens:
        ends = np.flatnonzero(self._ends[content]) + 1
        sentences = [part for part in np.split(content, ends) if len(part)]
        if len(sentences) < 2:
            return content
        turns = np.argsort(order[: len(sentences)], kind="stable")
        return np.concatenate([sentences[turn] for turn in turns])

    def _framed(self, content: Tokens) -> Tokens:
        return np.concatenate([[self.tokenizer.cls], content, [self.tokenizer.sep]]).astype(np.int64)


def _poisson(mean: float) -> NDArray[np.float64]:
    """The distribution function of a Poisson variable that is at most ``_LONGEST``."""
    numbers = np.arange(_LONGEST + 1)
    weights = np.exp(numbers * np.log(mean) - mean - np.cumsum(np.log(np.maximum(numbers, 1))))
    return np.cumsum(weights / weights.sum())[:-1]


def _without(content: Tokens, stretches: NDArray[np.int64], places: NDArray[np.float64], mask: int) -> Tokens:
    """The content with these stretches taken out somewhere, in their order, a mask for each."""
    free = len(content) - int(stretches.sum())
    starts = np.sort((places[: len(stretches)] * (free + 1)).astype(np.int64))  # among the tokens that stay
    starts = starts + np.concatenate([[0], np.cumsum(stretches)[:-1]]).astype(np.int64)
    pieces: list[Tokens] = []
    done = 0
    for start, size in zip(starts.tolist(), stretches.tolist(), strict=True):
        pieces += [content[done:start], np.array([mask])]
        done = start + size
    return np.concatenate([*pieces, content[done:]])
