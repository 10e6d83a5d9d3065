"""What did pre-training buy? The same labels for every arm, the same effort, intervals, and one sentence.

Arms, data boundary, label budgets, fair effort, seeds and cost are described in docs/gain.md.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headwater.analysis.report import write_gain_report
from headwater.errors import UsageError
from headwater.experiments.arms import RATES
from headwater.experiments.experiment import Experiment, Question
from headwater.experiments.frozen import ProbeScore, probe_table
from headwater.experiments.judgement import Pretraining
from headwater.experiments.judging import Gain, Shifted, judge, refuse_leaks
from headwater.experiments.plan import (
    ARMS,
    Budget,
    Plan,
    budget_order,
    short_classes,
)
from headwater.experiments.reporting import gain_facts, write_draws
from headwater.experiments.rows import GainRows, fine_tuned_on_note
from headwater.experiments.workers import train_cells
from headwater.run.folder import storage
from headwater.run.seen import Seen
from headwater.run.verbs import Run, open_run
from headwater.telling import Told
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests

_PICTURES = {".png": "", ".gif": ", moving"}
"""Files that pretext tasks leave, and what is told of them besides their name."""


@dataclass(frozen=True, slots=True, repr=False)
class GainResult(Told):
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
        parts = [
            self.gain.table(),
            probe_table(self.probes),
            *self.gain.told(),
            self.gain.sentence,
            *self.notes,
        ]
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
    pair: Sequence[str] | None = None,
    validation: str | Path | None = None,
    shifted_test: str | Path | None = None,
    budgets: str | Sequence[Budget] = "8,32,128,all",
    arms: str | Sequence[str] | None = None,
    seeds: int = 3,
    rates: int = RATES,
    minutes: float | None = None,
    assign: Sequence[str] = (),
    out: str | Path | None = None,
    quiet: bool = False,
) -> GainResult:
    """Measure what the pre-training of ``run`` is worth on a labelled task; every finished cell is kept.

    ``pair`` says which two things of each row are read; ``budgets`` are labels a class; ``arms`` those to train (None:
    all; pretrained and scratch always are);
    ``seeds`` repetitions; ``rates`` how many learning rates each neural arm chooses among, 3, or the middle one alone;
    ``minutes`` cuts seeds first, then budgets, never arms. The report goes to the folder ``out``, else to the reports
    of ``run``, in the place of the one before.
    """
    if task != "classification":
        raise UsageError(f"gain measures classification; found task '{task}'")
    chosen = parsed_budgets(budgets)
    only = None if arms is None else _parsed_arms(arms)
    _refuse_nothing(seeds, rates, minutes)
    run = open_run(run)
    question = Question(
        run=str(run.path),
        train=str(train),
        test=str(test),
        text=None if text is None else tuple(text),
        label=label,
        validation=None if validation is None else str(validation),
        shifted_test=None if shifted_test is None else str(shifted_test),
        budgets=chosen,
        seeds=seeds,
        rates=rates,
        assign=tuple(assign),
        arms=only,
        pair=None if pair is None else tuple(pair),
    )
    rows = question.rows(Seen.of(run.path))
    rows = replace(rows, notes=(*rows.notes, *fine_tuned_on_note(run.path, rows.train)))
    refuse_leaks(len(rows.test), rows.leaks)  # known before hours are spent on training
    refuse_leaks(len(rows.shifted or ()), rows.shifted_leaks, "shifted test")
    with Progress(quiet=quiet) as progress, StopRequests() as stop:
        experiment = Experiment.of(question, rows)
        plan = experiment.plan(minutes)
        progress.say(_told(plan, rows))
        cells = train_cells(experiment, plan, progress, stop)
    judgement = judge(
        cells,
        rows.numbers(rows.test).tolist(),
        leaks=rows.leaks,
        shifted=None
        if rows.shifted is None
        else Shifted(rows.numbers(rows.shifted).tolist(), rows.shifted_leaks),
        labels_per_class={
            budget: len(draws[0]) / len(rows.names) for budget, draws in experiment.draws(plan).items()
        },
        pretraining=_pretraining(run),
        floor=rows.floor.name,
    )
    probes = experiment.probes(plan, judgement.scored_rows)
    reports = run.folder.reports if out is None else Path(out)
    with storage(reports):
        reports.mkdir(parents=True, exist_ok=True)
        write_draws(reports / "gain-rows.tsv", experiment.draws(plan), rows)
        result = GainResult(judgement, probes, reports / "gain.html", (*plan.cuts, *rows.notes))
        numbers = json.dumps(result.to_dict(), ensure_ascii=False, indent=1)
        (reports / "gain.json").write_text(numbers, encoding="utf-8")
    title = f"{run.path.name} on {Path(train).parent.name or Path(train).stem}"
    shown = _pictures_in(run.folder.reports)
    write_gain_report(
        result.report, judgement, gain_facts(judgement, rows, plan, title, probes=probes, shown=shown)
    )
    return result


def _pictures_in(reports: Path) -> tuple[tuple[str, bytes], ...]:
    """What pretext tasks left to look at, by name; a clip that moves stands behind its still."""
    named = [
        (f"{path.stem}{_PICTURES[path.suffix]}", path)
        for path in reports.glob("*")
        if path.suffix in _PICTURES
    ]
    return tuple((name, path.read_bytes()) for name, path in sorted(named))


def parsed_budgets(budgets: str | Sequence[Budget]) -> tuple[Budget, ...]:
    """``"8,32,all"`` as budgets."""
    parts = budgets.split(",") if isinstance(budgets, str) else [str(budget) for budget in budgets]
    found: list[Budget] = []
    for part in (text.strip() for text in parts):
        if part != "all" and not (part.isdecimal() and int(part) > 0):
            raise UsageError(
                f"'{part}' is no label budget; expected numbers above 0 and 'all', as in 8,32,128,all"
            )
        found.append("all" if part == "all" else int(part))
    return tuple(sorted(set(found), key=budget_order))


def _parsed_arms(arms: str | Sequence[str]) -> tuple[str, ...]:
    """``"pretrained,floor"`` as arms, the two that make the experiment always among them."""
    named = [part.strip() for part in arms.split(",")] if isinstance(arms, str) else list(arms)
    if unknown := [arm for arm in named if arm not in ARMS]:
        raise UsageError(f"'{unknown[0]}' is no arm; choose among {', '.join(ARMS)}")
    return tuple(arm for arm in ARMS if arm in {*named, "pretrained", "scratch"})


def _refuse_nothing(seeds: int, rates: int, minutes: float | None) -> None:
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}; expected 1 or more, and 3 or more for a verdict")
    if rates not in (1, RATES):
        raise UsageError(f"rates = {rates}; expected {RATES}, or 1 for the middle one alone")
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
        items=facts.get("items"),
        what=facts.get("what", "text"),
        megabytes=None if size is None else size / 1e6,
        seconds=trained.get("seconds"),
        tokens=trained.get("tokens"),
        flops=trained.get("flops"),
        peak_memory=trained.get("peak_memory"),
        steps=trained.get("steps"),
    )
