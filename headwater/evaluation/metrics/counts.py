"""Precision, recall and F1 from counts a row, with 95 % intervals over other rows.

Shape letters: N rows, K kinds, R resamples. Of each kind a row has hits, true ones and predicted ones.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.evaluation.significance import RESAMPLES, Estimate, interval

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
_BLOCK = 4_000_000  # numbers of one block of weights: 32 MB


class Ratios(NamedTuple):
    """hits / predicted, hits / true, and 2 · hits / (true + predicted)."""

    precision: Estimate
    recall: Estimate
    f1: Estimate


def resampled_sums(counts: Integers, *, seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """Sums of N rows drawn N times with replacement: (N, …) → (R, …)."""
    rng = np.random.default_rng(seed)
    flat = counts.reshape(len(counts), -1)
    shares, step = np.full(len(flat), 1 / len(flat)), max(1, _BLOCK // len(flat))
    blocks = [
        rng.multinomial(len(flat), shares, size=min(step, resamples - start)) @ flat
        for start in range(0, resamples, step)
    ]
    return np.concatenate(blocks).reshape(resamples, *counts.shape[1:]).astype(np.float64)


def ratios_of(sums: Floats | Integers) -> Floats:
    """Precision, recall and F1 of sums (…, 3): (3, …); 0 where there is nothing to divide."""
    hits, true, predicted = sums[..., 0], sums[..., 1], sums[..., 2]
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(true, 1)
    return np.stack([precision, recall, 2 * hits / np.maximum(true + predicted, 1)])


def estimated_ratios(whole: Integers, draws: Floats) -> Ratios:
    """Of the sums of all rows (3,), and those of every resample (R, 3)."""
    values, resampled = ratios_of(whole), ratios_of(draws)
    return Ratios(*(interval(float(value), draw) for value, draw in zip(values, resampled, strict=True)))
