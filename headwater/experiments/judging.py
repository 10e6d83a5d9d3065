"""What finished cells mean together: intervals, verdicts and leakage.

Scores are accuracies between 0 and 1; shapes: S seeds, N test rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.analysis.words import verdict_sentence
from headwater.errors import BadDataError, UsageError
from headwater.evaluation.significance import Estimate, PairedTest, hierarchical_bootstrap, holm, paired_test
from headwater.experiments.judgement import (
    LabelEquivalence,
    Leaks,
    Pretraining,
    Summary,
    Verdict,
    VerdictWord,
)
from headwater.experiments.plan import ARMS, Budget, Cell, CellResult, budget_order, headline_budget
from headwater.experiments.wording import gain_sentence, leakage_words, plain_table

Correct = NDArray[np.float64]
Rows = NDArray[np.int64]

SIGNIFICANCE = 0.05
MIN_SEEDS = 3
MAX_LEAKED_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The judgement: what pre-training bought, with everything it rests on."""

    sentence: str
    cells: tuple[CellResult, ...]
    scores: tuple[float, ...]
    """The score of each cell on the test rows that count, in the order of ``cells``."""
    summary: tuple[Summary, ...]
    verdicts: tuple[Verdict, ...]
    headline: Budget
    equivalence: LabelEquivalence | None
    leakage: Mapping[str, Any]
    scored_rows: tuple[int, ...]
    """The test rows that count: all but the leaked ones."""
    against_floor: Verdict | None = None
    against_parent: Verdict | None = None
    shifted: tuple[Summary, ...] = ()
    shifted_verdicts: tuple[Verdict, ...] = ()
    shifted_leaked: int = 0
    """Rows of the shifted test that were in what the model was trained on before; they are not scored."""
    pretraining: Pretraining

    def to_dict(self) -> dict[str, Any]:
        """The content of ``gain.json``; ``shifted`` is there only when a shifted test was given."""
        found: dict[str, Any] = {
            "sentence": self.sentence,
            "cells": [_cell_row(cell, score) for cell, score in zip(self.cells, self.scores, strict=True)],
            "summary": [row.to_dict() for row in self.summary],
            "verdicts": [row.to_dict() for row in self.verdicts],
            "leakage": dict(self.leakage),
            "pretraining": asdict(self.pretraining),
        }
        if self.shifted:
            found["shifted"] = {
                "summary": [row.to_dict() for row in self.shifted],
                "verdicts": [row.to_dict() for row in self.shifted_verdicts],
                "leaked_rows": self.shifted_leaked,
            }
        return found

    def table(self) -> str:
        """Arms by budgets with their intervals, in points, for a console of any width."""
        return plain_table(self.summary)

    def told(self) -> list[str]:
        """What a console says besides the table: leaked rows, the shifted test, verdicts of every budget."""
        parts = [leakage_words(self.leakage), "\n".join(map(verdict_sentence, self.verdicts))]
        if self.shifted:
            lines = [plain_table(self.shifted, "shifted test"), *map(verdict_sentence, self.shifted_verdicts)]
            if self.shifted_leaked:
                lines.append(
                    f"{self.shifted_leaked:,} rows of it were in what the model was trained on before: left out"
                )
            parts.append("\n".join(lines))
        return [part for part in parts if part]


def _cell_row(cell: CellResult, score: float) -> dict[str, Any]:
    return {
        "arm": cell.arm,
        "budget": cell.budget,
        "seed": cell.seed,
        "score": score,
        "learning_rate": cell.learning_rate,
        **({"not_shown": list(cell.not_shown)} if cell.not_shown else {}),
        "cost": asdict(cell.cost),
        "tried": [
            {"choice": choice, "validation_score": found, "cost": cost and asdict(cost)}
            for (choice, found), cost in zip_longest(cell.tried, cell.tried_costs)
        ],
    }


class _Scores:
    """Which answers of which cells are right: correct(arm, budget, seed) → (N,) of zeros and ones."""

    def __init__(self, answers: Mapping[Cell, Sequence[int]], labels: Sequence[int]) -> None:
        true = np.asarray(labels)
        for (arm, budget, seed), predictions in answers.items():
            if len(predictions) != len(true):
                raise UsageError(
                    f"found {len(predictions)} predictions of {arm} at {budget} labels, seed {seed}, and "
                    f"{len(true)} test labels; expected one prediction a test row; was the test file changed?"
                )
        self._correct = {
            key: (np.asarray(found) == true).astype(np.float64) for key, found in answers.items()
        }

    def budgets(self) -> list[Budget]:
        return sorted({budget for _, budget, _ in self._correct}, key=budget_order)

    def arms(self) -> list[str]:
        return sorted({arm for arm, _, _ in self._correct}, key=ARMS.index)

    def seeds(self, *arms: str, budget: Budget) -> list[int]:
        """The seeds that every one of these arms has at this budget."""
        every = {seed for _, _, seed in self._correct}
        return sorted(seed for seed in every if all(Cell(arm, budget, seed) in self._correct for arm in arms))

    def table(self, arm: str, budget: Budget, seeds: Iterable[int], rows: Rows) -> Correct:  # (S, N)
        return np.stack([self._correct[Cell(arm, budget, seed)][rows] for seed in seeds])


def _summarise(scores: _Scores, rows: Rows, seed: int) -> tuple[Summary, ...]:
    found: list[Summary] = []
    for arm in scores.arms():
        for budget in scores.budgets():
            if not (seeds := scores.seeds(arm, budget=budget)):
                continue
            rng = np.random.default_rng([seed, 0])
            mean = _bounded(hierarchical_bootstrap(scores.table(arm, budget, seeds, rows), rng=rng))
            found.append(
                Summary(
                    arm=arm, budget=budget, mean=mean.value, low=mean.low, high=mean.high, seeds=len(seeds)
                )
            )
    return tuple(found)


def _bounded(estimate: Estimate, *, lowest: float = 0.0) -> Estimate:
    """An accuracy's interval ends at 0 and 1, a difference's at −1 and 1, which Student's t does not know."""
    return Estimate(estimate.value, max(lowest, estimate.low), min(1.0, estimate.high))


def _compare(
    scores: _Scores, arms: tuple[str, str], budgets: Sequence[Budget], rows: Rows, seed: int
) -> tuple[Verdict, ...]:
    """First arm minus second arm at every budget where they share a seed, Holm-corrected over budgets."""
    shared: list[tuple[Budget, list[int]]] = [(b, scores.seeds(*arms, budget=b)) for b in budgets]
    shared = [(budget, seeds) for budget, seeds in shared if seeds]
    tests: list[PairedTest] = []
    for budget, seeds in shared:
        first, second = (scores.table(arm, budget, seeds, rows) for arm in arms)
        tests.append(paired_test(first, second, rng=np.random.default_rng([seed, 1])))
    tested = [number for number, (_, seeds) in enumerate(shared) if len(seeds) >= MIN_SEEDS]
    corrected = dict(zip(tested, holm([tests[number].p for number in tested]), strict=True))
    return tuple(
        _verdict(budget, _bounded(test.difference, lowest=-1.0), corrected.get(number), len(seeds))
        for number, ((budget, seeds), test) in enumerate(zip(shared, tests, strict=True))
    )


def _verdict(budget: Budget, difference: Estimate, p: float | None, seeds: int) -> Verdict:
    return Verdict(
        budget=budget,
        verdict=_word(difference.value, p),
        difference=difference.value,
        low=difference.low,
        high=difference.high,
        p=p,
        seeds=seeds,
    )


def _compare_once(
    scores: _Scores, arms: tuple[str, str], budget: Budget, rows: Rows, seed: int
) -> Verdict | None:
    return next(iter(_compare(scores, arms, [budget], rows, seed)), None)


def _word(difference: float, p: float | None) -> VerdictWord:
    if p is None:
        return "not_enough_seeds"
    if p >= SIGNIFICANCE:
        return "no_difference"
    return "helped" if difference > 0 else "hurt"


def label_equivalence(
    summary: Sequence[Summary], headline: Budget, labels_per_class: Mapping[Budget, float]
) -> LabelEquivalence | None:
    """How many times the headline's labels the scratch arm needs for the pre-trained arm's score there.

    The scratch arm's mean scores are joined by straight lines over log(labels a class), each budget lifted
    to the best smaller one (more labels are never worse in the long run); where that curve reaches the pre-
    trained score stands the answer. ``labels_per_class`` says how many were drawn at each budget, which is less
    than its name where classes are short. None when no budget has more labels than the headline.
    """
    start = labels_per_class.get(headline)
    target = next((row.mean for row in summary if (row.arm, row.budget) == ("pretrained", headline)), None)
    points = sorted(
        (labels, row.mean)
        for row in summary
        if row.arm == "scratch" and (labels := labels_per_class.get(row.budget)) and start and labels >= start
    )
    if start is None or target is None or not points or points[-1][0] <= start:
        return None
    places = np.log([labels for labels, _ in points])
    heights = np.maximum.accumulate([mean for _, mean in points])
    if target > heights[-1]:
        return LabelEquivalence(times=float(np.exp(places[-1]) / start), beyond=True)
    reached = int(np.argmax(heights >= target))
    if reached == 0:
        return LabelEquivalence(times=1.0, beyond=False)
    share = (target - heights[reached - 1]) / (heights[reached] - heights[reached - 1])
    place = places[reached - 1] + share * (places[reached] - places[reached - 1])
    return LabelEquivalence(times=float(np.exp(place) / start), beyond=False)


def refuse_leaks(count: int, leaks: Leaks, part: str = "test") -> None:
    """Refuse a test of which more than half stands in the text that the model learnt from."""
    leaked = len(set(leaks.rows))
    if leaked > MAX_LEAKED_SHARE * count:
        raise BadDataError(
            f"found {leaked} of {count} {part} rows in what the model was trained on before; expected at most half; "
            f"pre-train again with --hold-out and the {part} file, or give another {part} file"
        )


def _scored_rows(count: int, leaks: Leaks, part: str = "test") -> Rows:
    refuse_leaks(count, leaks, part)
    leaked = set(leaks.rows)
    return np.array([row for row in range(count) if row not in leaked], dtype=np.int64)


def _leakage(scores: _Scores, leaks: Leaks, count: int, seed: int) -> dict[str, Any]:
    with_leaked: list[dict[str, Any]] = []
    if leaks.rows:
        with_leaked = [row.to_dict() for row in _summarise(scores, np.arange(count), seed)]
    return {
        "test_rows": count,
        "leaked_rows": len(leaks.rows),
        "exact": len(set(leaks.exact)),
        "near": len(set(leaks.near) - set(leaks.exact)),
        "scored_rows": count - len(leaks.rows),
        "dropped_train_rows": leaks.dropped_train_rows,
        "with_leaked_rows": with_leaked,
    }


class Shifted(NamedTuple):
    """A second test of another origin: the true label numbers of its rows, and those the model had seen."""

    labels: Sequence[int]
    leaks: Leaks = Leaks()


def _shifted(
    cells: Sequence[CellResult], test: Shifted | None, seed: int
) -> tuple[tuple[Summary, ...], tuple[Verdict, ...]]:
    """Summary and verdicts on a second test set, of the cells that answered it."""
    answers = {cell.cell: cell.shifted_predictions for cell in cells if cell.shifted_predictions is not None}
    if test is None or not answers:
        return (), ()
    scores, rows = _Scores(answers, test.labels), _scored_rows(len(test.labels), test.leaks, "shifted test")
    verdicts = _compare(scores, ("pretrained", "scratch"), scores.budgets(), rows, seed)
    return _summarise(scores, rows, seed), verdicts


def judge(
    cells: Sequence[CellResult],
    test_labels: Sequence[int],
    *,
    leaks: Leaks | None = None,
    shifted: Shifted | None = None,
    labels_per_class: Mapping[Budget, float] | None = None,
    pretraining: Pretraining | None = None,
    floor: str = "bag-of-words",
    seed: int = 0,
) -> Gain:
    """The judgement over finished cells: pre-trained against scratch, row by row on the same test rows.

    ``test_labels`` are the true label numbers of the N test rows; a label that no training row had may be
    any number that no arm predicts. Leaked rows are left out of every score. ``labels_per_class`` were
    drawn at each budget, for the label equivalence; ``floor`` is what the floor sees. ``seed`` keys the
    resampling: the same cells always give the same judgement. Raises UsageError when the pretrained and scratch
    arms share no cell, BadDataError when over half of the test leaks.
    """
    leaks, pretraining = leaks or Leaks(), pretraining or Pretraining()
    cells = sorted(cells, key=lambda cell: (ARMS.index(cell.arm), budget_order(cell.budget), cell.seed))
    scores = _Scores({cell.cell: cell.predictions for cell in cells}, test_labels)
    rows = _scored_rows(len(test_labels), leaks)
    verdicts = _compare(scores, ("pretrained", "scratch"), scores.budgets(), rows, seed)
    if not verdicts:
        raise UsageError(
            "found no budget and seed that both the pretrained and the scratch arm have; train both arms"
        )
    headline = headline_budget([verdict.budget for verdict in verdicts])
    summary = _summarise(scores, rows, seed)
    equivalence = label_equivalence(summary, headline, labels_per_class or {})
    against_floor = _compare_once(scores, ("pretrained", "floor"), headline, rows, seed)
    against_parent = _compare_once(scores, ("pretrained", "parent"), headline, rows, seed)
    shifted_summary, shifted_verdicts = _shifted(cells, shifted, seed)
    return Gain(
        sentence=gain_sentence(
            next(verdict for verdict in verdicts if verdict.budget == headline),
            pretraining=pretraining,
            equivalence=equivalence,
            against_floor=against_floor,
            floor=floor,
            against_parent=against_parent,
        ),
        cells=tuple(cells),
        scores=tuple(float(scores.table(c.arm, c.budget, [c.seed], rows).mean()) for c in cells),
        summary=summary,
        verdicts=verdicts,
        headline=headline,
        equivalence=equivalence,
        leakage=_leakage(scores, leaks, len(test_labels), seed),
        scored_rows=tuple(map(int, rows)),
        against_floor=against_floor,
        against_parent=against_parent,
        shifted=shifted_summary,
        shifted_verdicts=shifted_verdicts,
        shifted_leaked=len(shifted.leaks.rows) if shifted else 0,
        pretraining=pretraining,
    )
