"""The facts around a judgement, gathered for the gain page."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headwater.analysis.gain_facts import Confusion, CostRow, Example, GainFacts, ProbeRow, Sweep
from headwater.experiments.judgement import Pretraining
from headwater.experiments.judging import Gain
from headwater.experiments.plan import Budget, CellResult, Cost, Plan, short_classes
from headwater.experiments.rows import GainRows

EXAMPLES_A_SIDE = 4
LONGEST_EXAMPLE = 400


def write_draws(path: Path, draws: Mapping[Budget, Sequence[NDArray[np.int64]]], rows: GainRows) -> None:
    """Which rows every arm learnt from, at each budget and seed: a table with the digest and the place of each.

    Budgets that take all rows are not listed.
    """
    digests = rows.train_digests
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, delimiter="\t", lineterminator="\n")
        lines.writerow(["budget", "seed", "digest", "label", "file", "row"])
        for budget, seeds in draws.items():
            for seed, drawn in enumerate(seeds if budget != "all" else ()):
                for place in drawn.tolist():
                    example = rows.train[place]
                    digest = f"{digests[place] & (2**64 - 1):016x}"
                    lines.writerow([budget, seed, digest, example.label, example.path, example.row])


def gain_facts(
    gain: Gain,
    rows: GainRows,
    plan: Plan,
    title: str,
    *,
    probes: Sequence[ProbeRow] = (),
    shown: tuple[tuple[str, bytes], ...] = (),
) -> GainFacts:
    """What the page tells besides the judgement itself; ``shown`` are pictures that pre-training left, by name."""
    return GainFacts(
        title=title,
        label_names=rows.names,
        costs=_costs(gain.cells, gain.headline, gain.pretraining),
        boundary=_boundary(rows),
        method=_method(plan, rows),
        sweeps=tuple(
            Sweep(cell.arm, cell.budget, _chosen(cell), cell.tried)
            for cell in gain.cells
            if cell.seed == plan.seeds[0] and cell.tried
        ),
        probes=tuple(probes),
        confusions=_confusions(gain, rows),
        examples=_examples(gain, rows),
        shown=shown,
        floor=rows.floor.told,
        footer="Measured by headwater gain; the numbers stand in gain.json beside this page.",
    )


def _costs(cells: Sequence[CellResult], headline: Budget, pretraining: Pretraining) -> tuple[CostRow, ...]:
    """Pre-training once, then the mean cell of each arm at the headline budget, and what it tried before."""
    found = [
        CostRow(
            what="pre-training",
            seconds=pretraining.seconds,
            tokens=pretraining.tokens,
            flops=pretraining.flops,
            peak_memory=pretraining.peak_memory,
            steps=pretraining.steps,
        )
    ]
    for arm in dict.fromkeys(cell.arm for cell in cells):
        costs = [cell.cost for cell in cells if cell.arm == arm and cell.budget == headline]
        if costs:
            found.append(
                CostRow(
                    what=f"{arm}, one run at {headline} labels per class",
                    seconds=_mean([cost.seconds for cost in costs]),
                    tokens=_mean([cost.tokens for cost in costs]),
                    flops=_mean([cost.flops for cost in costs]),
                    peak_memory=_mean([cost.peak_memory for cost in costs]),
                    steps=_mean([cost.steps for cost in costs]),
                )
            )
        sweeps = [cell.tried_costs for cell in cells if cell.arm == arm and cell.budget == headline]
        found += [_sweep_cost(arm, costs) for costs in sweeps if len(costs) > 1 and arm != "floor"]
    return tuple(found)


def _sweep_cost(arm: str, costs: Sequence[Cost]) -> CostRow:
    """All learning rates that an arm tried: once a budget, on the first seed."""
    return CostRow(
        what=f"{arm}, choosing among {len(costs)} learning rates",
        seconds=sum(cost.seconds for cost in costs),
        tokens=sum(cost.tokens or 0 for cost in costs),
        flops=sum(cost.flops or 0.0 for cost in costs),
        peak_memory=max(cost.peak_memory or 0 for cost in costs),
        steps=sum(cost.steps or 0 for cost in costs),
    )


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known else None


def _boundary(rows: GainRows) -> tuple[str, ...]:
    return tuple(f"{note[0].upper()}{note[1:]}." for note in rows.notes)


def _method(plan: Plan, rows: GainRows) -> tuple[str, ...]:
    few = [
        f"At {budget} labels per class these classes have fewer rows and gave all: "
        + ", ".join(f"{name} ({count})" for name, count in short.items())
        + "."
        for budget in plan.budgets
        if (short := short_classes(rows.train_labels, budget))
    ]
    cuts = [f"Cut: {cut}." for cut in plan.cuts]
    return (
        f"{len(rows.train)} labelled rows to draw from, {len(rows.validation)} to choose settings on, "
        f"{len(rows.test)} to judge on; {len(plan.seeds)} seed(s); every arm learnt from the very same rows.",
        f"Every neural arm made the same number of steps {_rates(plan)}. The floor chose its regularisation on the "
        "validation rows.",
        *few,
        *cuts,
    )


def _rates(plan: Plan) -> str:
    if max(plan.sweep_sizes.values(), default=1) == 1:
        return "at one learning rate, which suits its kind"
    return "and chose among as many learning rates on the validation rows, once per budget on the first seed"


def _chosen(cell: CellResult) -> str:
    if cell.learning_rate is not None:
        return f"{cell.learning_rate:g}"
    return max(cell.tried, key=lambda choice: choice[1] or 0.0)[0]


def _of(gain: Gain, arm: str) -> list[CellResult]:
    return [cell for cell in gain.cells if cell.arm == arm and cell.budget == gain.headline]


def _confusions(gain: Gain, rows: GainRows) -> tuple[Confusion, ...]:
    counted = np.asarray(gain.scored_rows)
    true = rows.numbers(rows.test)[counted]
    found: list[Confusion] = []
    for arm in ("pretrained", "scratch", "floor"):
        matrix = np.zeros((len(rows.names), len(rows.names)), dtype=np.int64)
        for cell in _of(gain, arm):
            np.add.at(matrix, (true, np.asarray(cell.predictions)[counted]), 1)
        if matrix.any():
            found.append(Confusion(arm, tuple(tuple(int(count) for count in line) for line in matrix)))
    return tuple(found)


def _examples(gain: Gain, rows: GainRows) -> tuple[Example, ...]:
    """Rows that one arm gets right and the other wrong, most surely in both: the first seed of the headline."""
    pairs = [_of(gain, arm)[:1] for arm in ("pretrained", "scratch")]
    if not all(pairs):
        return ()
    (pretrained,), (scratch,) = pairs
    counted = np.isin(np.arange(len(rows.test)), gain.scored_rows)
    return (*_won(pretrained, scratch, rows, counted), *_won(scratch, pretrained, rows, counted))


def _won(winner: CellResult, loser: CellResult, rows: GainRows, counted: NDArray[np.bool_]) -> list[Example]:
    true = rows.numbers(rows.test)
    right, wrong = np.asarray(winner.predictions), np.asarray(loser.predictions)
    places = np.flatnonzero((right == true) & (wrong != true) & counted)
    surest = places[
        np.argsort(-_sureness(winner, right)[places] * _sureness(loser, wrong)[places], kind="stable")
    ]
    return [
        Example(
            text=rows.test[place].text[:LONGEST_EXAMPLE],
            label=rows.names[true[place]],
            right_arm=winner.arm,
            wrong_arm=loser.arm,
            wrong_label=rows.names[wrong[place]],
            picture=rows.picture(place),
        )
        for place in surest[:EXAMPLES_A_SIDE]
    ]


def _sureness(cell: CellResult, predictions: NDArray[np.int64]) -> NDArray[np.float64]:
    if cell.probabilities is None:
        return np.ones(len(predictions))
    return np.asarray(cell.probabilities)[np.arange(len(predictions)), predictions]
