"""Runs in short: one, many, and whether what they saved is whole."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.errors import HeadwaterError, MissingInputError
from headwater.evaluation.metrics.written import Written, told, written_in
from headwater.models import load_bundle
from headwater.run.folder import RunFolder
from headwater.telling import Told, in_columns
from headwater.training.checkpoint import CheckpointFolder
from headwater.training.events import read_events


@dataclass(frozen=True, slots=True, repr=False)
class RunSummary(Told):
    """What a run is, how far it is, how good."""

    path: Path
    kind: str
    task: str
    size: str
    step: int
    steps: int | None
    finished: bool
    tokens: int
    seconds: float
    evaluation: dict[str, float]
    advice: str | None
    forgetting: str | None = None
    test: dict[str, Any] | None = None
    """What was found, at the end, of rows that the task itself held out."""
    examples: Sequence[Written] = ()
    """What a task that writes made of some validation rows."""

    @property
    def line(self) -> str:
        """The summary in one line."""
        state = "finished" if self.finished else f"stopped; go on with: headwater resume {self.path}"
        steps = f"{self.step:,} of {self.steps:,} steps" if self.steps else f"{self.step:,} steps"
        numbers = ", ".join(
            f"{name} {value:.4g}" for name, value in self.evaluation.items() if name != "step"
        )
        parts = [f"{self.kind} {self.task} ({self.size})", steps, f"{self.tokens:,} tokens", numbers, state]
        return "; ".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values."""
        return {
            "run": str(self.path),
            "kind": self.kind,
            "task": self.task,
            "size": self.size,
            "step": self.step,
            "steps": self.steps,
            "finished": self.finished,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "evaluation": self.evaluation,
            "advice": self.advice,
            "forgetting": self.forgetting,
            "test": self.test,
            "examples": [example.to_dict() for example in self.examples],
        }

    def html(self) -> str:
        """A small table for notebooks; self-contained."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in self.to_dict().items()
            if value not in (None, {}, [])
        )
        return f"<table>{rows}</table>"

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.line}", self.advice, self.forgetting, _estimates(self.test or {})]
        return "\n".join(filter(None, [*lines, told(self.examples)]))


def summary_of(folder: RunFolder) -> RunSummary:
    """Read the summary of a run from its folder."""
    settings = folder.settings()
    card = folder.read_json("model/headwater.json")
    events = read_events(folder.path) if (folder.path / "events.jsonl").is_file() else []
    steps_seen = [event for event in events if event["kind"] == "train"]
    evaluations = [event for event in events if event["kind"] == "evaluation"]
    last = {
        name: value for name, value in (evaluations[-1] if evaluations else {}).items() if name not in _PLACE
    }
    return RunSummary(
        path=folder.path,
        kind=settings.kind,
        task=settings.task or settings.objective.name,
        size=str(card.get("size", settings.model.size)),
        step=max((int(event["step"]) for event in steps_seen), default=0),
        steps=settings.training.steps,
        finished=folder.finished,
        tokens=sum(int(event["tokens"]) for event in steps_seen),
        seconds=round(sum(float(event["seconds"]) for event in steps_seen), 1),
        evaluation=last,
        advice=(card.get("advice") or {}).get("sentence"),
        forgetting=(card.get("forgetting") or {}).get("sentence"),
        test=card.get("test"),
        examples=written_in(folder.read_json("examples.json").get("validation", [])),
    )


def _estimates(report: Mapping[str, Any]) -> str:
    """The estimates of a report in one line, each with its interval."""
    found = [
        f"{name} {value['value']:.4g} (95 % {value['low']:.4g} … {value['high']:.4g})"
        for name, value in report.items()
        if isinstance(value, dict) and value.keys() == {"value", "low", "high"}
    ]
    return f"held-out test: {', '.join(found)}" if found else ""


_PLACE = ("kind", "step", "time")


@dataclass(frozen=True, slots=True, repr=False)
class RunsTable(Told):
    """The runs below a folder."""

    folder: Path
    summaries: list[RunSummary]
    damaged: list[str]

    @classmethod
    def of(cls, folder: Path) -> "RunsTable":
        """Every run below ``folder``, by name."""
        if not folder.is_dir():
            raise MissingInputError(
                f"there is no folder {folder}; make a run with: headwater pretrain DATA --out {folder}/NAME"
            )
        found = sorted(
            path.parent for path in folder.glob("**/settings.toml") if "checkpoints" not in path.parts
        )
        table = cls(folder, [], [])
        for path in found:
            try:
                table.summaries.append(summary_of(RunFolder(path)))
            except HeadwaterError as problem:  # one damaged run must not hide the others
                table.damaged.append(str(problem))
        return table

    def to_dict(self) -> dict[str, Any]:
        """The table as plain values."""
        return {
            "folder": str(self.folder),
            "runs": [summary.to_dict() for summary in self.summaries],
            "damaged": self.damaged,
        }

    def __str__(self) -> str:
        if not self.summaries:
            return "\n".join([f"no runs in {self.folder}", *self.damaged])
        rows = [("run", "kind", "task", "size", "steps", "tokens", "minutes", "evaluation", "")]
        rows += [_cells(summary, self.folder) for summary in self.summaries]
        return "\n".join([in_columns(rows), *self.damaged])


def _cells(summary: RunSummary, folder: Path) -> tuple[str, ...]:
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in summary.evaluation.items())
    return (
        str(summary.path.relative_to(folder)) if summary.path != folder else summary.path.name,
        summary.kind,
        summary.task,
        summary.size,
        f"{summary.step:,}/{summary.steps:,}" if summary.steps else f"{summary.step:,}",
        f"{summary.tokens:,}",
        f"{summary.seconds / 60:.1f}",
        numbers,
        "finished" if summary.finished else "unfinished",
    )


@dataclass(frozen=True, slots=True, repr=False)
class Verification(Told):
    """What a check of every saved byte found."""

    path: Path
    step: int | None
    findings: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """The findings as plain values."""
        return {
            "run": str(self.path),
            "step": self.step,
            "whole": not self.findings,
            "findings": list(self.findings),
        }

    def __str__(self) -> str:
        newest = (
            "no checkpoint yet" if self.step is None else f"the newest whole checkpoint is step {self.step:,}"
        )
        go_on = [f"headwater resume {self.path} goes on from there"] if self.findings else []
        return "\n".join([f"{self.path}: {newest}", *self.findings, *go_on])


def verification_of(folder: RunFolder) -> Verification:
    """Read every checkpoint against its manifest, and the shipped model against its card."""
    store = CheckpointFolder(folder.checkpoints)
    newest = store.newest()
    if folder.finished:
        load_bundle(folder.model)
    return Verification(
        folder.path,
        newest.step if newest else None,
        [f"{finding.checkpoint}: {finding.problem}" for finding in store.verify()],
    )
