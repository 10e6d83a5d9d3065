"""Sentence order: do these two halves of a text stand as the author wrote them?

Lan et al. 2020, section 3.1, arXiv:1909.11942.
"""

import numpy as np
from numpy.typing import NDArray

from headwater.objectives.rewriting import Tokens
from headwater.objectives.sentence_pairs import Halves, SentencePairs


class SentenceOrder(SentencePairs):
    """Half of the texts are shown with their halves exchanged: answer 1."""

    name = "sentence_order"

    def ask(
        self, halves: Halves, numbers: NDArray[np.float64]
    ) -> tuple[list[tuple[Tokens, Tokens]], NDArray[np.int64]]:
        """Exchange the halves where the draw says so."""
        exchanged = numbers[:, 0] < 0.5
        shown = [
            (second, first) if exchange else (first, second)
            for (first, second), exchange in zip(halves, exchanged, strict=True)
        ]
        return shown, exchanged.astype(np.int64)
