"""Few labels and costly mistakes, as with medical notes: the model answers where it is sure, a person answers the rest.

    headwater pretrain notes/ --out runs/notes
    headwater finetune runs/notes few.tsv --validation valid.tsv --out runs/tagger
    headwater predict runs/tagger valid.tsv > valid.jsonl
    headwater predict runs/tagger new.tsv > new.jsonl
    python recipes/few_labels/triage.py valid.tsv valid.jsonl new.jsonl --right 0.95

From labelled rows that the model has not learnt from, the lowest of ten probabilities is chosen above which its answers
are right at least as often as asked for, with 95 % confidence (the lower limit of Clopper and Pearson 1934, each of the
ten looks paying a tenth of the doubt: Bonferroni). They are those that a tenth, two tenths … of these rows reach. Of
the new rows, those below it go to a person. Where the new rows are labelled too (--truth), what came of it is told.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from headwater.data.readers import read_labelled

DOUBT = 0.05
LOOKS = 10


def surely_right(right: int, answers: int, doubt: float = DOUBT) -> float:
    """The share that is at least right, but for so much doubt, after ``right`` of so many ``answers``."""
    return float(beta.ppf(doubt, right, answers - right + 1)) if right else 0.0


def threshold(shares: NDArray[np.float64], right: NDArray[np.bool_], wanted: float) -> float | None:
    """The lowest probability from which on answers are surely right as often as ``wanted``, or None."""
    lowest: float | None = None
    for level in np.quantile(shares, 1 - np.arange(1, LOOKS + 1) / LOOKS, method="higher").tolist():
        stand = shares >= level
        if surely_right(int(right[stand].sum()), int(stand.sum()), DOUBT / LOOKS) >= wanted:
            lowest = float(level)
    return lowest


def answers_of(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """The labels that ``headwater predict`` wrote, and the probability of each."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    labels = [str(row["label"]) for row in rows]
    shares = [float(row["probabilities"][label]) for row, label in zip(rows, labels, strict=True)]
    return labels, np.array(shares)


def truth_of(path: Path, labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which of these answers to the rows of a labelled table are right."""
    rows = read_labelled(path).examples
    if len(rows) != len(labels):
        raise SystemExit(f"{path} has {len(rows)} usable rows, and there are {len(labels)} answers to it")
    return np.array([row.label == label for row, label in zip(rows, labels, strict=True)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose the probability, divide the new rows, say what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labelled", type=Path, help="labelled rows that were not learnt from")
    parser.add_argument("answers", type=Path, help="what predict wrote for them")
    parser.add_argument("new", type=Path, help="what predict wrote for the new rows")
    parser.add_argument("--right", type=float, default=0.95, help="the share of answers that must be right")
    parser.add_argument("--truth", type=Path, help="the new rows with labels, to see what came of it")
    chosen = parser.parse_args(arguments)
    labels, shares = answers_of(chosen.answers)
    lowest = threshold(shares, truth_of(chosen.labelled, labels), chosen.right)
    if lowest is None:
        raise SystemExit(
            f"no probability proves {chosen.right:.0%} on these {len(labels):,} rows: label more of them, or ask for "
            "less"
        )
    new_labels, new_shares = answers_of(chosen.new)
    sure = new_shares >= lowest
    print(f"answers of at least {lowest:.3f} stand: {sure.sum():,} of {len(sure):,} ({sure.mean():.0%})")
    if chosen.truth is not None:
        right = truth_of(chosen.truth, new_labels)
        print(f"of these {right[sure].mean():.1%} are right; of all {right.mean():.1%}")


if __name__ == "__main__":
    main()
