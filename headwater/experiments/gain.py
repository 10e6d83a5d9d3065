"""What did pre-training buy? The same labels for every arm, the same effort, intervals, and one sentence.

Arms, data boundary, label budgets, fair effort, seeds and cost are described in docs/gain.md.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.analysis.report import write_gain_report
from headwater.data.splits import Fingerprints
from headwater.data.store import cache_folder
from headwater.errors import UsageError
from headwater.experiments.arms import (
    LEARNING_RATES,
    Task,
    Trial,
    measured_seconds,
    starting_points,
    train_cell,
)
from headwater.experiments.floor import LabelledTexts, fit_floor
from headwater.experiments.frozen import ProbeScore, probe_scores, probe_table
from headwater.experiments.judgement import Pretraining
from headwater.experiments.judging import Gain, judge, refuse_leaks
from headwater.experiments.plan import (
    Budget,
    Cell,
    CellResult,
    CellStore,
    Cost,
    Plan,
    budget_order,
    cell_key,
    draw_rows,
    short_classes,
)
from headwater.experiments.reporting import gain_facts
from headwater.experiments.rows import GainRows, digests_of, gain_rows
from headwater.run.deriving import derive_finetuning, derive_machine, derive_rhythm
from headwater.run.fitting import EncodedRows
from headwater.run.learning import use_machine
from headwater.run.settings import RunSettings
from headwater.run.starting import StartingPoint
from headwater.run.verbs import Run, open_run
from headwater.settings import assignments, merged
from headwater.training.precision import look_at_machine
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests

FLOOR_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class GainResult:
    """The judgement and where its report stands."""

    gain: Gain
    probes: Sequence[ProbeScore]
    report: Path
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The content of gain.json, and the report's path."""
        return {
            **self.gain.to_dict(),
            "probes": [score.to_dict() for score in self.probes],
            "notes": list(self.notes),
            "report": str(self.report),
        }

    def __str__(self) -> str:
        parts = [self.gain.table(), probe_table(self.probes), self.gain.sentence, *self.notes]
        return "\n\n".join([*parts, f"report: {self.report}"])

    def _repr_html_(self) -> str:
        return self.report.read_text(encoding="utf-8")


def gain(
    run: "str | Path | Run",
    train: str | Path,
    *,
    test: str | Path,
    task: str = "classification",
    text: Sequence[str] | None = None,
    label: str | None = None,
    validation: str | Path | None = None,
    shifted_test: str | Path | None = None,
    budgets: str | Sequence[Budget] = "8,32,128,all",
    seeds: int = 3,
    minutes: float | None = None,
    assign: Sequence[str] = (),
    quiet: bool = False,
) -> GainResult:
    """Measure what the pre-training of ``run`` is worth on a labelled task; every finished cell is kept.

    ``budgets`` are labels a class; ``seeds`` repetitions; ``minutes`` cuts seeds first, then budgets, never arms.
    """
    if task != "classification":
        raise UsageError(f"gain measures classification; found task '{task}'")
    chosen = parsed_budgets(budgets)
    _refuse_nothing(seeds, minutes)
    run = open_run(run)
    pool = run.path / "fingerprints.arrow"
    rows = gain_rows(
        Path(train),
        Path(test),
        pool=Fingerprints.load(pool) if pool.is_file() else None,
        text=text,
        label=label,
        validation=None if validation is None else Path(validation),
        shifted=None if shifted_test is None else Path(shifted_test),
    )
    refuse_leaks(len(rows.test), rows.leaks)  # known before hours are spent on training
    with Progress(quiet=quiet) as progress, StopRequests() as stop:
        experiment = Experiment.of(run, rows, chosen, seeds, assign)
        plan = experiment.plan(minutes)
        progress.say(_told(plan, rows))
        cells = experiment.run(plan, progress, stop)
    judgement = judge(
        cells,
        rows.numbers(rows.test).tolist(),
        leaks=rows.leaks,
        shifted_labels=None if rows.shifted is None else rows.numbers(rows.shifted).tolist(),
        all_labels_per_class=len(rows.train) / len(rows.names),
        pretraining=_pretraining(run),
    )
    probes = experiment.probes(plan, judgement.scored_rows)
    return _report(run, judgement, probes, rows, plan, Path(train).parent.name or Path(train).stem)


@dataclass(frozen=True, slots=True)
class Experiment:
    """Everything that a cell depends on."""

    run_digest: str
    rows: GainRows
    arms: Mapping[str, StartingPoint]
    task: Task
    settings: RunSettings
    budgets: tuple[Budget, ...]
    seeds: tuple[int, ...]
    store: CellStore

    @classmethod
    def of(
        cls, run: Run, rows: GainRows, budgets: tuple[Budget, ...], seeds: int, assign: Sequence[str]
    ) -> "Experiment":
        """Load the arms and encode the rows."""
        start = StartingPoint.of_run(run.path)
        base = {"kind": "finetune", "data": {"paths": ["gain"]}, "training": {"schedule": "linear"}}
        settings = RunSettings.from_mapping(merged(base, assignments(list(assign))))
        settings = derive_machine(settings, look_at_machine("cpu"))
        use_machine(settings.machine)
        encode = lambda part: EncodedRows.of(part, rows.names, start.tokenizer)  # noqa: E731
        task = Task(
            train=encode(rows.train),
            validation=encode(rows.validation),
            test=encode(rows.test),
            shifted=None if rows.shifted is None else encode(rows.shifted),
            labels=rows.names,
        )
        return cls(
            run_digest=start.digest,
            rows=rows,
            arms=starting_points(start),
            task=task,
            settings=settings,
            budgets=budgets,
            seeds=tuple(range(seeds)),
            store=CellStore(cache_folder() / "gain"),
        )

    def plan(self, minutes: float | None) -> Plan:
        """The cells to train with an estimate of their time, cut to ``minutes`` where they are given."""
        longest = max(self.budgets, key=budget_order)
        seconds = {
            name: measured_seconds(start, self.task, self._settings(longest))
            for name, start in self.arms.items()
        }
        plan = Plan(
            arms=(*self.arms, "floor"),
            budgets=self.budgets,
            seeds=self.seeds,
            cell_seconds={**seconds, "floor": FLOOR_SECONDS},
            sweep_sizes={name: len(LEARNING_RATES[name]) for name in self.arms},
        )
        finished = frozenset(cell for cell in plan.cells if self.store.load(self._key(cell)) is not None)
        plan = dataclasses.replace(plan, finished=finished)
        return plan if minutes is None else plan.cut_to(minutes)

    def run(self, plan: Plan, progress: Progress, stop: StopRequests) -> list[CellResult]:
        """Train every cell that is not kept from before; stopping loses at most the cell under way."""
        results: dict[Cell, CellResult] = {}
        progress.stage("gain", len(plan.cells))
        for done, cell in enumerate(plan.cells):
            stop.check()
            result = self.store.load(self._key(cell))
            if result is None:
                result = self._train(cell, results, stop)
                self.store.save(self._key(cell), result)
            results[cell] = result
            progress.update(done + 1, **{f"{cell.arm}@{cell.budget}": result.score})
        return list(results.values())

    def probes(self, plan: Plan, scored_rows: Sequence[int]) -> list[ProbeScore]:
        """What frozen vectors are worth at each budget of the plan."""
        draws: dict[Budget, list[NDArray[np.int64]]] = {
            budget: [
                draw_rows(self.rows.train_labels, self.rows.train_digests, budget, seed)
                for seed in plan.seeds
            ]
            for budget in sorted(plan.budgets, key=budget_order)
        }
        return probe_scores(self.arms["pretrained"], self.task, draws, scored_rows)

    def _train(self, cell: Cell, results: Mapping[Cell, CellResult], stop: StopRequests) -> CellResult:
        drawn = draw_rows(self.rows.train_labels, self.rows.train_digests, cell.budget, cell.seed)
        if cell.arm == "floor":
            return self._floor(cell, drawn)
        swept = results.get(cell._replace(seed=self.seeds[0]))
        rates = LEARNING_RATES[cell.arm] if swept is None else (swept.learning_rate or 1e-3,)
        settings = self._settings(cell.budget).having(training={"seed": cell.seed})
        trial = Trial(self.arms[cell.arm], self.task, drawn, settings, stop.check)
        return train_cell(cell, trial, rates)

    def _floor(self, cell: Cell, drawn: NDArray[np.int64]) -> CellResult:
        rows = self.rows
        chosen = [rows.train[row] for row in drawn]
        result = fit_floor(
            LabelledTexts([row.text for row in chosen], rows.numbers(chosen).tolist()),
            LabelledTexts([row.text for row in rows.validation], rows.numbers(rows.validation).tolist()),
            [row.text for row in rows.test],
            num_classes=len(rows.names),
            shifted_texts=None if rows.shifted is None else [row.text for row in rows.shifted],
            seed=cell.seed,
        )
        shifted = result.shifted_predictions
        return CellResult(
            arm="floor",
            budget=cell.budget,
            seed=cell.seed,
            score=float((result.predictions == self.task.test.labels).mean()),
            predictions=tuple(result.predictions.tolist()),
            cost=Cost(seconds=result.seconds),
            tried=result.tried,
            shifted_predictions=None if shifted is None else tuple(shifted.tolist()),
        )

    def _settings(self, budget: Budget) -> RunSettings:
        """Equal effort for every neural arm: steps by the number of labelled rows alone."""
        rows = len(draw_rows(self.rows.train_labels, self.rows.train_digests, budget, 0))
        return derive_rhythm(derive_finetuning(self.settings, rows, self.arms["pretrained"]), evaluate=False)

    def _key(self, cell: Cell) -> str:
        """Everything the cell's numbers depend on; the floor does not depend on the run."""
        rows = self.rows
        parts: dict[str, Any] = {
            "format": 1,
            "cell": list(cell),
            "sweep_seed": self.seeds[0],
            "rows": [
                digests_of(part) for part in (rows.train, rows.validation, rows.test, rows.shifted or ())
            ],
            "labels": [rows.train_labels, [row.label for row in rows.test], list(rows.names)],
        }
        if cell.arm != "floor":
            training = dataclasses.asdict(self._settings(cell.budget).training)
            parts["training"] = training
            parts["rates"] = list(LEARNING_RATES[cell.arm])
            parts["start"] = self.arms[cell.arm].digest
        return cell_key(**parts)


def parsed_budgets(budgets: str | Sequence[Budget]) -> tuple[Budget, ...]:
    """``"8,32,all"`` as budgets."""
    parts = budgets.split(",") if isinstance(budgets, str) else [str(budget) for budget in budgets]
    found: list[Budget] = []
    for part in (text.strip() for text in parts):
        if part != "all" and not (part.isdigit() and int(part) > 0):
            raise UsageError(
                f"'{part}' is no label budget; expected numbers above 0 and 'all', as in 8,32,128,all"
            )
        found.append("all" if part == "all" else int(part))
    return tuple(sorted(set(found), key=budget_order))


def _refuse_nothing(seeds: int, minutes: float | None) -> None:
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}; expected 1 or more, and 3 or more for a verdict")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise UsageError(f"minutes = {minutes}; expected a number above 0")


def _told(plan: Plan, rows: GainRows) -> str:
    kept = f", {len(plan.finished)} of them kept from before" if plan.finished else ""
    lines = [
        f"{len(plan.cells)} cells ({len(plan.arms)} arms × {len(plan.budgets)} budgets × {len(plan.seeds)} seeds)"
        f"{kept}: about {plan.minutes:.0f} minutes",
        *plan.cuts,
        *rows.notes,
    ]
    for budget in plan.budgets:
        if short := short_classes(rows.train_labels, budget):
            few = ", ".join(f"{name} ({count})" for name, count in list(short.items())[:5])
            lines.append(f"fewer than {budget} rows, all used: {few}")
    return "\n".join(lines)


def _pretraining(run: Run) -> Pretraining:
    card, facts = run.folder.read_json("model/headwater.json"), run.folder.read_json("data.json")
    trained = card.get("trained", {})
    size = facts.get("bytes")
    return Pretraining(
        megabytes=None if size is None else size / 1e6,
        seconds=trained.get("seconds"),
        tokens=trained.get("tokens"),
        flops=trained.get("flops"),
        steps=trained.get("steps"),
    )


def _report(
    run: Run, judgement: Gain, probes: Sequence[ProbeScore], rows: GainRows, plan: Plan, task: str
) -> GainResult:
    reports = run.folder.reports
    reports.mkdir(parents=True, exist_ok=True)
    page = reports / "gain.html"
    notes = (*plan.cuts, *rows.notes)
    result = GainResult(judgement, probes, page, notes)
    (reports / "gain.json").write_text(
        json.dumps(result.to_dict(), ensure_ascii=False, indent=1), encoding="utf-8"
    )
    write_gain_report(page, judgement, gain_facts(judgement, rows, plan, f"{run.path.name} on {task}"))
    return result
