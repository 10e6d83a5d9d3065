"""Two texts compared by what they share: |A ∩ B| / |A ∪ B| over their words, or their characters in Chinese.

    python -m benchmarks.baselines.overlap pairs/sts_benchmark_en/test.tsv
    python -m benchmarks.baselines.overlap pairs/lcqmc_zh/test.tsv --train pairs/lcqmc_zh/train.tsv

Of a table with scores the correlation with the overlap is told; of one with labels 0 and 1 the accuracy of the
threshold that was best on the training pairs.
"""

import argparse
import csv
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines import data_file
from headwater.data.characters import WITHOUT_BLANKS
from headwater.evaluation.metrics.regression import regression_report
from headwater.evaluation.significance import Estimate, hierarchical_bootstrap

Values = NDArray[np.float64]
_words = re.compile(rf"[{WITHOUT_BLANKS}]|[^\W_{WITHOUT_BLANKS}]+")


def overlap(first: str, second: str) -> float:
    """The share of their words that both texts have; case does not count."""
    mine, theirs = (set(_words.findall(text.casefold())) for text in (first, second))
    return len(mine & theirs) / max(len(mine | theirs), 1)


def pairs(path: Path, column: str) -> tuple[Values, Values]:
    """The overlap of every pair of a table, and its number in ``column``."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    shared = [overlap(row["sentence1"], row["sentence2"]) for row in rows]
    return np.array(shared), np.array([float(row[column]) for row in rows])


def best_threshold(shared: Values, labels: Values) -> float:
    """From which overlap on to say 1, so that most of these pairs are right."""
    return float(max(np.unique(shared), key=lambda level: ((shared >= level) == labels).mean()))


def accuracy(shared: Values, labels: Values, threshold: float) -> Estimate:
    """Of 100 pairs those that the threshold gets right, with the 95 % interval over pairs."""
    return hierarchical_bootstrap(100.0 * ((shared >= threshold) == labels), rng=np.random.default_rng(0))


def main() -> None:
    """Print the correlation, or the accuracy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("test", type=data_file)
    parser.add_argument("--train", type=data_file, help="labelled pairs that the threshold is chosen on")
    given = parser.parse_args()
    if given.train is None:
        shared, scores = pairs(given.test, "score")
        report = regression_report(scores, shared)
        print(f"{report.rows:,} pairs: Pearson {report.pearson:.3f}, Spearman {report.spearman:.3f}")
        return
    threshold = best_threshold(*pairs(given.train, "label"))
    shared, labels = pairs(given.test, "label")
    print(
        f"{len(labels):,} pairs: accuracy {accuracy(shared, labels, threshold):.1f} from {threshold:.3f} on"
    )


if __name__ == "__main__":
    main()
