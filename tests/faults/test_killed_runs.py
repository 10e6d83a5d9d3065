"""SIGKILL at any instant, resume: the run ends with the bits of one that was never killed."""

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

STEPS = 30
DEFAULT_KILLS = 3
ALL_KILLS = 100
MOST_KILLS_OF_ONE_RUN = 4
LAST_CALLS = 40
"""So many times the last save and the shipping of the model change the disk."""

RHYTHM = ("training.checkpoint_steps=3", "training.evaluation_steps=6", "training.batch_tokens=384")
CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "three micro-batches": ("training.micro_batches=3",),
    "no prefetch": ("machine.prefetch=0",),
    "packed": ("training.packed=true",),
    "average and dropout": ("training.average=exponential", "model.dropout=0.1"),
    "fine-tuning": (
        "training.early_stopping=3",
        "training.average=last",
        "training.average_steps=2",
        "training.evaluation_steps=4",
        "training.checkpoint_steps=3",
        "training.learning_rate=0.003",
    ),
}


class Straight(NamedTuple):
    """A run that nobody disturbed."""

    path: Path
    calls: int
    seconds: float


class Attack:
    """One configuration, the run that was never killed, and the runs that were."""

    def __init__(self, headwater: Any, folder: Path, name: str, parent: Path) -> None:
        self.headwater, self.name, self.folder, self.parent = headwater, name, folder, parent
        self.rng = random.Random(name)
        self.runs = 0
        self.kills = 0
        out = folder / name / "straight"
        began = time.monotonic()
        ended = headwater(*self.command(out))
        assert ended.code == 0, ended.said
        self.straight = Straight(out, ended.calls, time.monotonic() - began)

    def command(self, out: Path) -> list[object]:
        options: list[object] = ["--out", out, "--steps", STEPS, "--quiet"]
        if self.name == "fine-tuning":
            labelled = [self.folder / "train.csv", "--validation", self.folder / "validation.csv"]
            options += [*labelled, *set_(CONFIGURATIONS[self.name])]
            return ["finetune", self.parent, *options]
        small = ("training.length=32", "model.width=64", "model.num_heads=2")
        options += ["--size", "nano", *set_((*RHYTHM, *small, *CONFIGURATIONS[self.name]))]
        return ["pretrain", self.folder / "notes.jsonl", *options]

    def instant(self) -> dict[str, float]:
        """When to kill: after some time, or before a call that changes the disk (in a save, in the shipping …)."""
        kind = self.rng.random()
        if kind < 0.5:
            return {"after": self.rng.uniform(0.0, 0.8 * self.straight.seconds)}
        first = self.straight.calls - LAST_CALLS if kind > 0.85 else 1
        return {"call": self.rng.randint(first, self.straight.calls)}

    def killed_run(self, most: int) -> Path:
        """A run that is killed up to ``most`` times, each time resumed, and then left to finish."""
        out = self.folder / self.name / f"killed-{self.runs}"
        # A cache of its own every other time: then the pool is built under fire too.
        cache = self.folder / ("cache" if self.runs % 2 else f"{self.name}/cache-{self.runs}")
        where = {"HEADWATER_CACHE": str(cache)}
        self.runs += 1
        for _ in range(most):
            ended = self.headwater(*self.go_on(out), environment=where, **self.instant())
            assert ended.code in (0, -signal.SIGKILL), ended.said
            if ended.code == 0:
                break
            self.kills += 1
        ended = self.headwater(*self.go_on(out), environment=where)
        assert ended.code == 0, ended.said
        assert not [left for left in (cache / "pools").glob(".*") if left.is_dir()] or self.runs % 2 == 0
        return out

    def go_on(self, out: Path) -> list[object]:
        """Resume, or the same command again where it was killed before there was a run."""
        return ["resume", out, "--quiet"] if (out / "settings.toml").is_file() else self.command(out)


def set_(assignments: tuple[str, ...]) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


@pytest.mark.parametrize("name", ["plain", "average and dropout", "fine-tuning"])
def test_a_run_killed_three_times_ends_with_the_bits_of_one_never_killed(
    name: str,
    headwater: Any,
    attacked: Path,
    parent_run: Path,
    tmp_path: Path,
    same_run: Callable[[Path, Path], None],
) -> None:
    attack = Attack(headwater, in_(tmp_path, attacked), name, parent_run)
    while attack.kills < DEFAULT_KILLS:
        same_run(attack.straight.path, attack.killed_run(DEFAULT_KILLS - attack.kills))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_kills_make_no_run_unusable_and_change_no_bit(
    headwater: Any,
    attacked: Path,
    parent_run: Path,
    tmp_path: Path,
    same_run: Callable[[Path, Path], None],
) -> None:
    began = time.monotonic()
    kills = runs = 0
    attacks = [Attack(headwater, in_(tmp_path, attacked), name, parent_run) for name in CONFIGURATIONS]
    while kills < ALL_KILLS:
        for attack in attacks:
            same_run(attack.straight.path, attack.killed_run(MOST_KILLS_OF_ONE_RUN))
        kills = sum(attack.kills for attack in attacks)
        runs = sum(attack.runs for attack in attacks)
        print(f"{kills} kills, {runs} runs resumed to the end, {time.monotonic() - began:.0f} s", flush=True)


def in_(folder: Path, attacked: Path) -> Path:
    """The corpus in a folder where runs may be made; the shared cache comes along."""
    for name in ("notes.jsonl", "train.csv", "validation.csv"):
        shutil.copy(attacked / name, folder / name)
    return folder
