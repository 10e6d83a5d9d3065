"""What the gain page shows besides the judgement, worked out from the same cells."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from headwater.analysis.gain_facts import Confusion, CostRow, Example, GainFacts, Sweep
from headwater.analysis.words import seeds_words
from headwater.evaluation.metrics.classification import confusion_matrix
from headwater.experiments.judging import Gain
from headwater.experiments.plan import Budget, CellResult, Cost
from headwater.randomness import permute

CONFUSED_ARMS = ("pretrained", "scratch", "floor")
EXAMPLES_A_SIDE = 4


def gain_facts(
    gain: Gain,
    *,
    title: str,
    label_names: Sequence[str],
    test_labels: Sequence[int],
    test_texts: Sequence[str],
    boundary: Sequence[str] = (),
    method: Sequence[str] = (),
    footer: str = "",
) -> GainFacts:
    """The page's facts: cost, sweeps, confusion matrices and examples at the headline budget.

    ``test_labels`` and ``test_texts`` are those of the N test rows that were judged; ``boundary`` and ``method``
    are sentences that only the caller knows, put beside what follows from the cells.
    """
    true = np.asarray(test_labels, dtype=np.int64)
    return GainFacts(
        title=title,
        label_names=tuple(label_names),
        costs=_costs(gain),
        boundary=tuple(boundary),
        method=(*_effort(gain.cells), *method),
        sweeps=_sweeps(gain.cells),
        confusions=_confusions(gain, true, len(label_names)),
        examples=tuple(
            example
            for right, wrong in (("pretrained", "scratch"), ("scratch", "pretrained"))
            for example in _examples(gain, (right, wrong), true, test_texts, label_names)
        ),
        footer=footer,
    )


def _at(cells: Sequence[CellResult], arm: str, budget: Budget) -> list[CellResult]:
    return [cell for cell in cells if (cell.arm, cell.budget) == (arm, budget)]


def _costs(gain: Gain) -> tuple[CostRow, ...]:
    stage = gain.pretraining
    first = CostRow(
        what="pre-training (once)",
        seconds=stage.seconds,
        tokens=stage.tokens,
        flops=stage.flops,
        peak_memory=stage.peak_memory,
        steps=stage.steps,
    )
    arms = dict.fromkeys(cell.arm for cell in gain.cells)
    return (first, *(_arm_cost(arm, [cell.cost for cell in gain.cells if cell.arm == arm]) for arm in arms))


def _arm_cost(arm: str, costs: Sequence[Cost]) -> CostRow:
    def mean(value: Callable[[Cost], float | None]) -> float | None:
        known = [found for cost in costs if (found := value(cost)) is not None]
        return sum(known) / len(known) if known else None

    return CostRow(
        what=arm,
        seconds=mean(lambda cost: cost.seconds),
        tokens=mean(lambda cost: cost.tokens),
        flops=mean(lambda cost: cost.flops),
        peak_memory=max((cost.peak_memory for cost in costs if cost.peak_memory is not None), default=None),
        steps=mean(lambda cost: cost.steps),
    )


def _effort(cells: Sequence[CellResult]) -> list[str]:
    """Sentences on seeds and steps, as the cells show them."""
    seeds = len({cell.seed for cell in cells})
    draws = "draws" if seeds == 1 else "each draws"
    told = [
        f"{seeds_words(seeds)}: {draws} its own labelled rows, the same for every arm, and its own first weights."
    ]
    by_budget: dict[Budget, set[int]] = {}
    for cell in cells:
        if cell.cost.steps is not None:
            by_budget.setdefault(cell.budget, set()).add(cell.cost.steps)
    if by_budget:
        equal = "the same" if all(len(steps) == 1 for steps in by_budget.values()) else "not the same"
        fewest, most = min(map(min, by_budget.values())), max(map(max, by_budget.values()))
        many = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
        told.append(f"{many} fine-tuning steps, at each budget {equal} for every neural arm.")
    return told


def _sweeps(cells: Sequence[CellResult]) -> tuple[Sweep, ...]:
    found: list[Sweep] = []
    for cell in cells:
        if len(cell.tried) > 1 and not any(
            (cell.arm, cell.budget) == (each.arm, each.budget) for each in found
        ):
            best = max(cell.tried, key=lambda attempt: attempt[1])[0]
            chosen = best if cell.learning_rate is None else f"{cell.learning_rate:g}"
            found.append(Sweep(cell.arm, cell.budget, chosen, cell.tried))
    return tuple(found)


def _confusions(gain: Gain, true: NDArray[np.int64], num_labels: int) -> tuple[Confusion, ...]:
    rows = np.asarray(gain.scored_rows, dtype=np.int64)
    found: list[Confusion] = []
    for arm in CONFUSED_ARMS:
        cells = _at(gain.cells, arm, gain.headline)
        if cells:
            matrices = [
                confusion_matrix(true[rows], np.asarray(cell.predictions)[rows], num_labels) for cell in cells
            ]
            total = np.sum(matrices, axis=0)[:-1]
            found.append(Confusion(arm, tuple(tuple(map(int, line)) for line in total)))
    return tuple(found)


def _examples(
    gain: Gain, arms: tuple[str, str], true: NDArray[np.int64], texts: Sequence[str], names: Sequence[str]
) -> list[Example]:
    """Rows, drawn by a keyed permutation, that the first arm has right with every seed and the second with none."""
    answers = [np.array([cell.predictions for cell in _at(gain.cells, arm, gain.headline)]) for arm in arms]
    clear = (answers[0] == true).all(axis=0) & (answers[1] != true).all(axis=0)
    clear &= (true >= 0) & (true < len(names))
    places = permute(np.arange(len(true)), len(true), 0, "gain examples", 0)
    scored = set(gain.scored_rows)
    rows = [row for row in map(int, np.argsort(places)) if clear[row] and row in scored]
    return [
        Example(
            text=texts[row],
            label=names[int(true[row])],
            right_arm=arms[0],
            wrong_arm=arms[1],
            wrong_label=names[Counter(map(int, answers[1][:, row])).most_common(1)[0][0]],
        )
        for row in rows[:EXAMPLES_A_SIDE]
    ]
