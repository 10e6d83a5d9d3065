"""How well speech was understood: error rates of words and of characters, each with its 95 % interval.

Shape letters: N rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.errors import BadDataError
from headwater.evaluation.metrics.written import Written, some_of, told
from headwater.evaluation.significance import RESAMPLES, Estimate, hierarchical_bootstrap, interval
from headwater.telling import Told


@dataclass(frozen=True, repr=False)
class RecognitionReport(Told):
    """What is found of texts written down from recordings."""

    rows: int
    word_error_rate: Estimate
    """Insertions, deletions and substitutions for each 100 words of the reference."""
    character_error_rate: Estimate
    exact: Estimate
    """Share of texts that are the very one of the reference, 0 to 100."""
    examples: tuple[Written, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        return {
            "rows": self.rows,
            "wer": self.word_error_rate.to_dict(),
            "cer": self.character_error_rate.to_dict(),
            "exact": self.exact.to_dict(),
            "examples": [example.to_dict() for example in self.examples],
        }

    def __str__(self) -> str:
        named = {
            "word error rate": self.word_error_rate,
            "character error rate": self.character_error_rate,
            "exactly the same": self.exact,
        }
        numbers = [f"{name:<22}{found:.1f}" for name, found in named.items()]
        return "\n".join(filter(None, [f"{self.rows} rows", *numbers, told(self.examples)]))


def recognition_report(
    written: Sequence[str], references: Sequence[str], *, sources: Sequence[str] = (), seed: int = 0
) -> RecognitionReport:
    """All measures of written texts against one reference each; blanks do not count as characters.

    With ``sources``, some of them to look at.
    """
    if len(written) != len(references) or not references:
        raise BadDataError(
            f"found {len(written)} texts and {len(references)} references; expected one of each a row, at least one"
        )
    rng = np.random.default_rng(seed)
    same = np.array([100.0 * (a.split() == b.split()) for a, b in zip(written, references, strict=True)])
    pairs = [(a.split(), b.split()) for a, b in zip(written, references, strict=True)]
    letters = [(list("".join(a)), list("".join(b))) for a, b in pairs]
    return RecognitionReport(
        len(references),
        _error_rate(pairs, rng),
        _error_rate(letters, rng),
        hierarchical_bootstrap(same, rng=rng),
        some_of(sources, references, written) if sources else (),
    )


def edits(first: Sequence[str], second: Sequence[str]) -> int:
    """The least number of insertions, deletions and substitutions that make one of the other (Levenshtein 1966)."""
    row = list(range(len(second) + 1))
    for down, left in enumerate(first, 1):
        diagonal, row[0] = row[0], down
        for across, above in enumerate(second, 1):
            diagonal, row[across] = (
                row[across],
                min(row[across] + 1, row[across - 1] + 1, diagonal + (left != above)),
            )
    return row[-1]


def _error_rate(pairs: Sequence[tuple[list[str], list[str]]], rng: np.random.Generator) -> Estimate:
    """Σ edits / Σ reference lengths, its interval over resampled rows."""
    counts: NDArray[np.int64] = np.array([(edits(a, b), len(b)) for a, b in pairs], np.int64)
    if not counts[:, 1].sum():
        raise BadDataError("every reference is empty; expected texts")
    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=RESAMPLES)
    sums = weights @ counts
    rate = lambda errors, length: 100.0 * errors / np.maximum(length, 1)  # noqa: E731
    total = counts.sum(axis=0)
    return interval(float(rate(total[0], total[1])), rate(sums[:, 0], sums[:, 1]))
