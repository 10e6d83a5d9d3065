"""Which cells an experiment consists of, which rows each may see, how long it takes, what is finished.

A cell is one training run: an arm, a label budget, a seed. Every draw is a function of (seed, row digest),
so it does not depend on the order of the file, and a smaller budget is part of a larger one by
construction.
"""

import hashlib
import json
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.errors import StorageError, UsageError
from headwater.randomness import Draws

Rows = NDArray[np.int64]
Budget = int | Literal["all"]

ARMS = ("pretrained", "scratch", "recurrent", "convolutional", "floor", "parent")
BUDGETS: tuple[Budget, ...] = (8, 32, 128, "all")
HEADLINE_LABELS = 32
VALIDATION_SHARE = 0.1


class Cell(NamedTuple):
    """One training run of the experiment."""

    arm: str
    budget: Budget
    seed: int


def budget_order(budget: int | str) -> float:
    """A number to sort budgets by: labels a class, and "all" last."""
    return math.inf if budget == "all" else float(budget)


def headline_budget(budgets: Collection[Budget]) -> Budget:
    """The budget nearest to 32 labels a class on a logarithmic scale; "all" only when it is alone."""
    numbers = sorted(int(budget) for budget in budgets if budget != "all")
    if not numbers:
        return "all"
    return min(numbers, key=lambda labels: abs(math.log(labels / HEADLINE_LABELS)))


# ---- which rows ---------------------------------------------------------------------------------------


def _keyed(row_digests: Sequence[int], seed: int, purpose: str) -> NDArray[np.float64]:
    items = np.array([digest & (2**63 - 1) for digest in row_digests], dtype=np.int64)
    return Draws(seed, 0, items).uniform(purpose, 1)[:, 0]


def _repeats(row_digests: Sequence[int]) -> Rows:
    """How many rows before this one hold the same text."""
    seen: dict[int, int] = {}
    counts = np.empty(len(row_digests), dtype=np.int64)
    for row, digest in enumerate(row_digests):
        counts[row] = seen.get(digest, 0)
        seen[digest] = int(counts[row]) + 1
    return counts


def draw_rows(labels: Sequence[str], row_digests: Sequence[int], budget: Budget, seed: int) -> Rows:
    """The rows that every arm may learn from at this budget and seed: ``budget`` a class, or all.

    A row's rank within its class is the keyed number of (seed, digest); repeats of a text come after all
    distinct ones, since the same label twice teaches nothing. A class with fewer rows gives all it has
    (``short_classes``). The rows come back in the order of those ranks, so two files that differ in row
    order alone train alike.
    """
    order = np.lexsort(
        (np.asarray(row_digests), _keyed(row_digests, seed, "label budget"), _repeats(row_digests))
    )
    if budget == "all":
        return order.astype(np.int64)
    taken: dict[str, int] = {}
    rows: list[int] = []
    for row in map(int, order):
        label = labels[row]
        if taken.get(label, 0) < budget:
            taken[label] = taken.get(label, 0) + 1
            rows.append(row)
    return np.array(rows, dtype=np.int64)


def short_classes(labels: Sequence[str], budget: Budget) -> dict[str, int]:
    """The classes that have fewer rows than the budget asks for, each with the rows it has."""
    if budget == "all":
        return {}
    names, counts = np.unique(np.asarray(labels, dtype=object), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True) if count < budget}


def take_validation(
    labels: Sequence[str], row_digests: Sequence[int], share: float = VALIDATION_SHARE
) -> NDArray[np.bool_]:
    """True for the rows set aside for validation: a tenth of every class, at least one text of each.

    The same for every seed and arm. Equal texts stay on one side; a class with a single text stays in
    training.
    """
    keyed = _keyed(row_digests, 0, "gain validation")
    classes: dict[str, dict[int, float]] = {}
    for label, digest, number in zip(labels, row_digests, keyed.tolist(), strict=True):
        classes.setdefault(label, {})[digest] = number
    chosen: set[int] = set()
    for texts in classes.values():
        count = min(math.ceil(share * len(texts)), len(texts) - 1)
        ranked = sorted((number, digest) for digest, number in texts.items())
        chosen.update(digest for _, digest in ranked[:count])
    return np.array([digest in chosen for digest in row_digests], dtype=np.bool_)


def rows_apart(rows: Iterable[Collection[int]], held_out: Collection[int]) -> NDArray[np.bool_]:
    """True for the training rows none of whose digests is among the held-out (test and validation) ones."""
    known = frozenset(held_out)
    return np.array([known.isdisjoint(digests) for digests in rows], dtype=np.bool_)


# ---- how long -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The cells to train and how long they take.

    ``cell_seconds`` is the estimated time of one training run of an arm at the longest budget, ``efforts`` the share
    of it that a smaller budget takes; ``sweep_sizes`` is how many learning rates an arm tries, which happens
    once per arm and budget (with the first seed) and is reused by the others. ``finished`` cells were kept from
    before and cost nothing. ``cuts`` says in words what ``cut_to`` left out. ``processes`` cells are trained at a
    time.
    """

    arms: tuple[str, ...]
    budgets: tuple[Budget, ...] = BUDGETS
    seeds: tuple[int, ...] = (0, 1, 2)
    cell_seconds: Mapping[str, float]
    efforts: Mapping[Budget, float] = field(default_factory=dict[Budget, float])
    sweep_sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    finished: frozenset[Cell] = frozenset()
    cuts: tuple[str, ...] = ()
    processes: int = 1

    def __post_init__(self) -> None:
        if unknown := [arm for arm in self.arms if arm not in ARMS]:
            raise UsageError(f"found the arm {unknown[0]!r}; expected some of {', '.join(ARMS)}")
        if not (self.arms and self.budgets and self.seeds):
            raise UsageError("found a plan without cells; expected at least one arm, one budget and one seed")
        if missing := [arm for arm in self.arms if arm not in self.cell_seconds]:
            raise UsageError(f"found no time estimate for the arm {missing[0]!r}; add it to cell_seconds")

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, seed by seed: an experiment that is interrupted has whole curves of its first seeds."""
        ordered = sorted(self.budgets, key=budget_order)
        return tuple(
            Cell(arm, budget, seed) for seed in self.seeds for budget in ordered for arm in self.arms
        )

    def sweeps(self, cell: Cell) -> bool:
        """Whether this cell is the one in which its arm's learning rates are tried."""
        return cell.seed == self.seeds[0]

    def seconds(self, cell: Cell) -> float:
        """The estimated time of one cell, its sweep included; nothing when it is finished already."""
        if cell in self.finished:
            return 0.0
        runs = self.sweep_sizes.get(cell.arm, 1) if self.sweeps(cell) else 1
        return self.cell_seconds[cell.arm] * self.efforts.get(cell.budget, 1.0) * runs

    @property
    def seconds_of_work(self) -> float:
        """The estimated time of all cells that are not finished, one after another."""
        return sum(self.seconds(cell) for cell in self.cells)

    @property
    def minutes(self) -> float:
        """The estimated time until all cells are finished."""
        return self.seconds_of_work / self.processes / 60.0

    def cut_to(self, minutes: float) -> "Plan":
        """The largest part of this plan that fits: seeds go first, then budgets, arms never, nor what is finished.

        Of the budgets the headline goes last, "all" before it, and of the others the largest first. A plan
        that cannot fit even so is returned at its smallest, and says how long it takes.
        """
        plan = self
        while True:
            fewer = (replace(plan, seeds=self.seeds[:count]) for count in range(len(self.seeds), 0, -1))
            if (fitting := next((less for less in fewer if less.minutes <= minutes), None)) is not None:
                return replace(fitting, cuts=self.cuts + tuple(_what_was_cut(self, fitting, minutes)))
            if (dropped := plan._least_needed) is None:
                break
            plan = replace(plan, budgets=tuple(budget for budget in plan.budgets if budget != dropped))
        plan = replace(plan, seeds=self.seeds[:1])
        return replace(plan, cuts=self.cuts + tuple(_what_was_cut(self, plan, minutes)))

    @property
    def _least_needed(self) -> Budget | None:
        """The budget that goes first; None where one is left. What is finished costs nothing, and stays."""
        headline = headline_budget(self.budgets)
        cells = self.cells
        costly = [
            budget
            for budget in self.budgets
            if budget != headline and any(self.seconds(cell) for cell in cells if cell.budget == budget)
        ]
        numbers = [int(budget) for budget in costly if budget != "all"]
        return max(numbers) if numbers else "all" if costly else None


def _what_was_cut(whole: Plan, kept: Plan, minutes: float) -> list[str]:
    cuts: list[str] = []
    if len(kept.seeds) < len(whole.seeds):
        cuts.append(f"{len(kept.seeds)} of {len(whole.seeds)} seeds, to fit {minutes:g} minutes")
    dropped = sorted(set(whole.budgets) - set(kept.budgets), key=budget_order)
    if dropped:
        names = ", ".join(str(budget) for budget in dropped)
        cuts.append(f"without the budgets {names}, to fit {minutes:g} minutes")
    if kept.minutes > minutes:
        cuts.append(
            f"still about {_in_words(kept.minutes)} minutes, more than the {minutes:g} asked for: arms are never cut"
        )
    return cuts


def _in_words(minutes: float) -> str:
    return f"{minutes:.0f}" if minutes >= 1 else f"{minutes:.1g}"


# ---- what was finished --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one training run took, or all fits of a floor; None where it does not apply (the floor has no tokens)."""

    seconds: float
    tokens: int | None = None
    flops: float | None = None
    peak_memory: int | None = None
    """Bytes."""
    steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What one cell brought: predicted label numbers on the test rows, in order, and what they cost.

    ``score`` is the accuracy on all test rows (0 to 1). ``tried`` holds each learning rate of the sweep (or
    each regularisation of the floor) with its validation score, None where its loss was no number;
    ``probabilities`` is (rows, classes).
    """

    arm: str
    budget: Budget
    seed: int
    score: float
    predictions: tuple[int, ...]
    cost: Cost
    learning_rate: float | None = None
    not_shown: tuple[str, ...] = ()
    """Changes that pictures were not shown with, because they harm."""
    tried: tuple[tuple[str, float | None], ...] = ()
    tried_costs: tuple[Cost, ...] = ()
    """What each of those took; none where a cell was kept before this was counted."""
    probabilities: tuple[tuple[float, ...], ...] | None = None
    shifted_predictions: tuple[int, ...] | None = None

    @property
    def cell(self) -> Cell:
        """Which cell this is the result of."""
        return Cell(self.arm, self.budget, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types; ``from_dict`` reads it back equal."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "CellResult":
        """The inverse of ``to_dict``, also after a trip through JSON, which turns tuples into lists."""
        fields: dict[str, Any] = dict(found)
        for name in ("predictions", "shifted_predictions", "not_shown"):
            if fields.get(name) is not None:
                fields[name] = tuple(fields[name])
        for name in ("tried", "probabilities"):
            if fields.get(name) is not None:
                fields[name] = tuple(tuple(row) for row in fields[name])
        fields["cost"] = Cost(**fields["cost"])
        fields["tried_costs"] = tuple(Cost(**cost) for cost in fields.get("tried_costs", ()))
        return cls(**fields)


def cell_key(**parts: Any) -> str:
    """The digest of everything a cell's result depends on: model, rows, settings, arm, budget, seed.

    The parts must be JSON types; their order does not matter.
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class CellStore:
    """A folder that keeps finished cells, one JSON file each, so that an interrupted experiment goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the cell of this key is kept."""
        return self.folder / f"{key}.json"

    def load(self, key: str) -> CellResult | None:
        """The finished cell of this key, or None when it has not been trained yet."""
        path = self.path(key)
        try:
            return CellResult.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"found {path} unreadable ({error}); expected a finished cell; delete it and the cell is "
                f"trained anew"
            ) from error

    def save(self, key: str, result: CellResult) -> None:
        """Keep a finished cell: written aside, flushed and renamed, so that it is whole or absent."""
        aside = self.folder / f".{key}.{os.getpid()}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with aside.open("w", encoding="utf-8") as file:
                json.dump(result.to_dict(), file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.path(key))
        except OSError as error:
            if aside.exists():
                aside.unlink()
            raise StorageError(
                f"could not keep a finished cell in {self.folder} ({error}); free some space or choose "
                f"another folder with HEADWATER_CACHE"
            ) from error
