"""Next sentence: does the second half go on from the first, or is it of another text?

Devlin et al. 2019, section 3.1, arXiv:1810.04805.
"""

import numpy as np
from numpy.typing import NDArray

from headwater.objectives.rewriting import Tokens
from headwater.objectives.sentence_pairs import Halves, SentencePairs


class NextSentence(SentencePairs):
    """Half of the texts are shown with the second half of another text of the batch: answer 1."""

    name = "next_sentence"

    @property
    def alone(self) -> bool:
        """What does not belong together comes from the same batch."""
        return False

    def ask(
        self, halves: Halves, numbers: NDArray[np.float64]
    ) -> tuple[list[tuple[Tokens, Tokens]], NDArray[np.int64]]:
        """Take the second half from elsewhere where the draw says so; a text alone in its batch keeps its own."""
        count = len(halves)
        foreign = (numbers[:, 0] < 0.5) & (count > 1)
        others = (np.arange(count) + 1 + (numbers[:, 1] * (count - 1)).astype(np.int64)) % count
        shown = [
            (first, halves[other][1] if strange else second)
            for (first, second), other, strange in zip(halves, others.tolist(), foreign, strict=True)
        ]
        return shown, foreign.astype(np.int64)
