"""What everybody has, and what goes with the last items: recommendation without a model.

    python -m benchmarks.baselines.popularity sequences/movielens_latest_small/ratings.tsv

Leave-one-out as in docs/recommendation.md: all but the last two events of each user are learnt from, the last is asked
for, among all learnt items but those of the user's own history.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.baselines import data_file
from headwater.data.readers.histories import items_in, read_histories
from headwater.evaluation.metrics.ranking import RankingReport, ranking_report
from headwater.evaluation.recommenders import ItemItem, Popularity, standing_of


def judge(path: Path) -> RankingReport:
    """HR@10 and NDCG@10 of both; popularity stands first."""
    lists = [items_in(example.text) for example in read_histories(path).examples]
    learnt = [history[: max(1, len(history) - 2)] for history in lists]
    numbers = {item: number for number, item in enumerate(sorted({item for h in learnt for item in h}))}
    known = [np.array([numbers[item] for item in history], np.int64) for history in learnt]
    asked = [history for history in lists if len(history) > 1]
    before = [np.array([numbers[item] for item in h[:-1] if item in numbers], np.int64) for h in asked]
    chosen = np.array([numbers.get(history[-1], -1) for history in asked], np.int64)
    neighbours = ItemItem.of(known, len(numbers))
    ways = {
        "popularity": Popularity.of(known, len(numbers)),
        f"item-item, last {neighbours.reach}": neighbours,
    }
    return ranking_report(
        [(name, standing_of(way, before, chosen)) for name, way in ways.items()],
        items=len(numbers),
        not_learnt=int((chosen < 0).sum()),
        had_before=sum(history[-1] in history[:-1] for history in asked),
    )


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("events", type=data_file)
    print(judge(parser.parse_args().events))


if __name__ == "__main__":
    main()
