"""One gain experiment: what was asked, everything its cells depend on, and how each of them is trained."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.problems import place_of
from headwater.data.sequencers import Tokenizer
from headwater.data.store import cache_folder
from headwater.experiments.arms import (
    Task,
    Trial,
    device_of,
    learning_rates,
    measured_seconds,
    starting_points,
    train_cell,
)
from headwater.experiments.cell_settings import cell_settings
from headwater.experiments.floor import Labelled, fit_floor
from headwater.experiments.frozen import ProbeScore, probe_scores
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
)
from headwater.experiments.rows import GainRows, digests_of, gain_rows
from headwater.run.deriving import derive_finetuning, derive_machine, derive_rhythm
from headwater.run.fitting import EncodedRows
from headwater.run.learning import use_machine
from headwater.run.paired import cut_of_rows
from headwater.run.seen import Seen
from headwater.run.settings import MachineSettings, RunSettings
from headwater.run.starting import StartingPoint
from headwater.training.precision import (
    available_memory,
    forget_peak_memory,
    look_at_machine,
    peak_memory,
)

FLOOR_SECONDS = 5.0
BYTES_A_PROCESS = 2 << 30
GPU_PROCESSES = 8
"""Cells that one GPU trains at a time: a small model leaves most of it idle while Python prepares the next kernel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is to be measured, in plain values that another process can be told."""

    run: str
    train: str
    test: str
    text: tuple[str, ...] | None
    label: str | None
    validation: str | None
    shifted_test: str | None
    budgets: tuple[Budget, ...]
    seeds: int
    rates: int
    assign: tuple[str, ...]
    arms: tuple[str, ...] | None = None
    """Those to train; None: all."""
    pair: tuple[str, ...] | None = None
    """What both sides of the rows are, where they are pairs."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reverse of ``dataclasses.asdict``, JSON's lists being tuples here."""
        plain: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**plain)

    def start(self) -> StartingPoint:
        """The run, as it reads these rows."""
        return StartingPoint.of_run(self.run, data=self.train, both=self.pair is not None)

    def rows(self, seen: Seen | None = None) -> GainRows:
        """The rows of the files; those of the test that were ``seen`` are named as leaks."""
        sequencer = self.start().sequencer
        cut = None if isinstance(sequencer, Tokenizer) else cut_of_rows(sequencer, self.pair, self.text)
        return gain_rows(
            Path(self.train),
            Path(self.test),
            seen=seen,
            cut=cut,
            text=self.text,
            label=self.label,
            validation=None if self.validation is None else Path(self.validation),
            shifted=None if self.shifted_test is None else Path(self.shifted_test),
        )


@dataclass(frozen=True, slots=True)
class Experiment:
    """Everything that a cell depends on. A cell is trained by one process on one core, or on a GPU that it shares with
    others, so its numbers are the same on any machine of a kind, however many cells are trained at a time."""

    question: Question
    rows: GainRows
    arms: Mapping[str, StartingPoint]
    task: Task
    settings: RunSettings
    store: CellStore
    train_digests: Sequence[int]
    digests: Mapping[str, str]
    """Of the rows, and of what each neural arm starts from."""

    @classmethod
    def of(cls, question: Question, rows: GainRows) -> Self:
        """Load the arms and encode the rows."""
        start = question.start()
        settings = cell_settings(question.assign)
        machine = look_at_machine(settings.machine.device)
        # All cores, busy or not: cells do not wait for each other, as threads would for the slowest.
        settings = settings.having(machine={"threads": settings.machine.threads or machine.usable_cores})
        settings = derive_machine(settings, machine)
        use_machine(settings.having(machine={"threads": 1}).machine)
        encode = lambda part: EncodedRows.of(part, rows.names, start.sequencer)  # noqa: E731
        task = Task(
            train=encode(rows.train),
            validation=encode(rows.validation),
            test=encode(rows.test),
            shifted=None if rows.shifted is None else encode(rows.shifted),
            labels=rows.names,
        )
        arms = starting_points(start, settings.model.shares, only=question.arms)
        return cls(
            question,
            rows,
            arms,
            task,
            settings,
            CellStore(cache_folder() / "gain"),
            rows.train_digests,
            {"rows": _digest(rows), **{name: arm.digest for name, arm in arms.items()}},
        )

    @property
    def seeds(self) -> tuple[int, ...]:
        """The first one tries the learning rates."""
        return tuple(range(self.question.seeds))

    def plan(self, minutes: float | None) -> Plan:
        """The cells to train with an estimate of their time, cut to ``minutes`` where they are given."""
        only = self.question.arms
        longest = max(self.question.budgets, key=budget_order)
        wanted = [arm for arm in (*self.arms, "floor") if only is None or arm in only]
        seconds = {
            name: measured_seconds(start, self.task, self._settings(longest))
            for name, start in self.arms.items()
            if name in wanted
        }
        steps: dict[Budget, int] = {
            budget: self._settings(budget).training.steps or 1 for budget in self.question.budgets
        }
        plan = Plan(
            arms=tuple(wanted),
            budgets=self.question.budgets,
            seeds=self.seeds,
            cell_seconds={**seconds, "floor": FLOOR_SECONDS},
            sweep_sizes={name: len(self._rates(name)) for name in self.arms},
            efforts={budget: steps[budget] / steps[longest] for budget in self.question.budgets},
            processes=_processes(self.settings.machine),
        )
        finished = frozenset(cell for cell in plan.cells if self.kept(cell) is not None)
        plan = dataclasses.replace(plan, finished=finished)
        return plan if minutes is None else plan.cut_to(minutes)

    def kept(self, cell: Cell) -> CellResult | None:
        """The result of a cell that was trained before."""
        return self.store.load(self._key(cell))

    def train(self, cell: Cell, check: Callable[[], None]) -> CellResult:
        """Train a cell and keep its result; ``check`` is asked after every step, and raises to stop."""
        result = self._train(cell, check)
        self.store.save(self._key(cell), result)
        return result

    def sweep_of(self, cell: Cell) -> Cell | None:
        """The cell that tries the learning rates for this one and has to be trained first."""
        if cell.arm == "floor" or cell.seed == self.seeds[0] or self.question.rates == 1:
            return None
        return cell._replace(seed=self.seeds[0])

    def draws(self, plan: Plan) -> dict[Budget, list[NDArray[np.int64]]]:
        """The training rows that every arm learns from, at each budget of the plan and each of its seeds."""
        budgets = sorted(plan.budgets, key=budget_order)
        return {budget: [self._drawn(budget, seed) for seed in plan.seeds] for budget in budgets}

    def probes(self, plan: Plan, scored_rows: Sequence[int]) -> list[ProbeScore]:
        """What frozen vectors are worth at each budget of the plan."""
        draws, device = self.draws(plan), device_of(self.settings)
        return probe_scores(self.arms["pretrained"], self.task, draws, scored_rows, device)

    def _train(self, cell: Cell, check: Callable[[], None]) -> CellResult:
        drawn = self._drawn(cell.budget, cell.seed)
        if cell.arm == "floor":
            return self._floor(cell, drawn)
        first = self.sweep_of(cell)
        swept = self.kept(first) if first is not None else None
        rates = self._rates(cell.arm) if swept is None else (swept.learning_rate or 1e-3,)
        settings = self._settings(cell.budget).having(training={"seed": cell.seed})
        places = [place_of(row.path, row.row) for row in (self.rows.train[number] for number in drawn)]
        trial = Trial(self.arms[cell.arm], self.task, drawn, places, settings, check)
        return train_cell(cell, trial, rates)

    def _floor(self, cell: Cell, drawn: NDArray[np.int64]) -> CellResult:
        rows = self.rows
        forget_peak_memory()
        chosen = [rows.train[row] for row in drawn]
        result = fit_floor(
            Labelled([row.content for row in chosen], rows.numbers(chosen).tolist()),
            Labelled([row.content for row in rows.validation], rows.numbers(rows.validation).tolist()),
            [row.content for row in rows.test],
            num_classes=len(rows.names),
            floor=rows.floor,
            shifted=None if rows.shifted is None else [row.content for row in rows.shifted],
            seed=cell.seed,
        )
        shifted = result.shifted_predictions
        return CellResult(
            arm="floor",
            budget=cell.budget,
            seed=cell.seed,
            score=float((result.predictions == self.task.test.labels).mean()),
            predictions=tuple(result.predictions.tolist()),
            cost=Cost(
                seconds=result.seconds,
                flops=sum(fit.flops for fit in result.fits),
                peak_memory=peak_memory(),
            ),
            tried=result.tried,
            tried_costs=tuple(Cost(seconds=fit.seconds, flops=fit.flops) for fit in result.fits),
            shifted_predictions=None if shifted is None else tuple(shifted.tolist()),
        )

    def _drawn(self, budget: Budget, seed: int) -> NDArray[np.int64]:
        """The training rows that every arm learns from at this budget and seed."""
        return draw_rows(self.rows.train_labels, self.train_digests, budget, seed)

    def _rates(self, arm: str) -> tuple[float, ...]:
        return learning_rates(arm, self.arms[arm], self.question.rates)

    def _settings(self, budget: Budget) -> RunSettings:
        """Equal effort for every neural arm: steps by the number of labelled rows alone."""
        rows = len(self._drawn(budget, 0))
        return derive_rhythm(derive_finetuning(self.settings, rows, self.arms["pretrained"]), evaluate=False)

    def _key(self, cell: Cell) -> str:
        """Everything the cell's numbers depend on; the floor knows of the run how it cuts pictures, no more."""
        parts: dict[str, Any] = {"format": 3, "cell": list(cell), "rows": self.digests["rows"]}
        if cell.arm == "floor" and self.rows.cut is not None:
            parts["cut"] = self.rows.cut.to_dict()
        if cell.arm != "floor":
            parts["sweep_seed"] = self.seeds[0]
            parts["training"] = dataclasses.asdict(self._settings(cell.budget).training)
            parts["rates"] = list(self._rates(cell.arm))
            parts["start"] = self.digests[cell.arm]
            if self.rows.cut is not None:
                parts["head"] = "begins as a gentle probe"
            if smoothing := self._settings(cell.budget).objective.label_smoothing:
                parts["label_smoothing"] = smoothing
            place = [self.settings.machine.device, self.settings.machine.precision]
            if place != ["cpu", "fp32"]:
                parts["device"] = place
        return cell_key(**parts)


def _processes(machine: MachineSettings) -> int:
    """How many cells can be trained side by side: one a core, as far as memory goes, and a few on a GPU."""
    cores, memory = machine.threads or 1, available_memory()
    if machine.device != "cpu":
        cores = min(cores, GPU_PROCESSES)
    return cores if memory is None else max(1, min(cores, memory // BYTES_A_PROCESS))


def _digest(rows: GainRows) -> str:
    parts = (rows.train, rows.validation, rows.test, rows.shifted or ())
    labels = [[row.label for row in part] for part in parts]
    return cell_key(rows=[digests_of(part) for part in parts], labels=labels, names=list(rows.names))
