"""Titles without a model: the first words of the text.

python -m benchmarks.baselines.first_words classification_en/ag_news_7600/test.tsv --words 8
"""

import argparse
import csv
from pathlib import Path

from benchmarks.baselines import data_file
from headwater.evaluation.metrics.text import TextReport, text_report


def judge(path: Path, words: int) -> TextReport:
    """The first words of column ``text`` beside what people wrote in ``title``."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return text_report(
        [" ".join(row["text"].split()[:words]) for row in rows], [(row["title"],) for row in rows]
    )


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("test", type=data_file)
    parser.add_argument("--words", type=int, default=8)
    given = parser.parse_args()
    print(judge(given.test, given.words))


if __name__ == "__main__":
    main()
