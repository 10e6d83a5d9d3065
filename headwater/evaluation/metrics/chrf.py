"""chrF: how many runs of characters of written texts stand in the reference too, and the other way round.

Shape letters: N rows, R resamples.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.evaluation.significance import RESAMPLES, Estimate, interval

ORDERS = 6
"""Runs of one to six characters are counted."""
BETA = 2.0
"""How much more recall weighs than precision."""
Counts = NDArray[np.int64]


def chrf_of(
    written: Sequence[str],
    references: Sequence[tuple[str, ...]],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[Estimate, str]:
    """chrF by sacrebleu, 0 to 100, its interval over resampled rows, and its signature.

    Popović 2015, doi:10.18653/v1/W15-3049. Every row's counts are taken once; chrF of a resample follows from their
    sums.
    """
    from sacrebleu.metrics.chrf import CHRF  # heavy, and needed for texts alone

    metric = CHRF(char_order=ORDERS, beta=int(BETA))
    value = float(metric.corpus_score(list(written), streams_of(references)).score)
    counts = np.array([_nearest(*row) for row in zip(written, references, strict=True)])
    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)
    draws = np.array([chrf(sums) for sums in np.tensordot(weights, counts, axes=1)])
    return interval(value, draws), metric.get_signature().format()


def streams_of(references: Sequence[tuple[str, ...]]) -> Any:
    """The first reference of every row, the second of every row, and so on, as sacrebleu takes them."""
    most = max(map(len, references))
    return [
        [several[place] if place < len(several) else None for several in references] for place in range(most)
    ]


def _nearest(written: str, references: Sequence[str]) -> Counts:
    """The counts beside the reference that the text is most like."""
    return max((counts_of(written, one) for one in references), key=chrf)


def counts_of(written: str, reference: str) -> Counts:
    """Runs of each length in the text, in the reference, and in both: (3, ORDERS); blanks do not count."""
    mine, theirs = ("".join(text.split()) for text in (written, reference))
    runs = [(_runs(mine, order), _runs(theirs, order)) for order in range(1, ORDERS + 1)]
    return np.array([[a.total(), b.total(), (a & b).total()] for a, b in runs], np.int64).T


def chrf(sums: Counts) -> float:
    """(1 + β²) · P · R / (β² · P + R), with the means of precision and recall over the lengths that both have."""
    mine, theirs, both = sums[:, (sums[:2] > 0).all(axis=0)]
    if not both.any():
        return 0.0
    precision, recall = (both / mine).mean(), (both / theirs).mean()
    return float(100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall))


def _runs(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
