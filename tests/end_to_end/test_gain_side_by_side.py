"""Cells of gain trained by several processes: the numbers of one process, and clear words when something goes wrong."""

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.errors import InterruptedRunError, MissingInputError, TrainingStoppedError
from headwater.experiments import workers
from headwater.experiments.experiment import Question
from headwater.experiments.plan import Cell
from headwater.experiments.workers import Crew

FAST = ("training.steps=3", "training.length=32")


@pytest.fixture
def question(pretrained: "hw.Run", workplace: Path) -> Question:
    return Question(
        run=str(pretrained.path),
        train=str(workplace / "train.csv"),
        test=str(workplace / "test.csv"),
        text=None,
        label=None,
        validation=None,
        shifted_test=None,
        budgets=(4,),
        seeds=2,
        rates=3,
        assign=FAST,
    )


def alone(_: Cell) -> None:
    """No cell needs another one."""


def go_on() -> None:
    """Nobody asks to stop."""


def measured(question: Question, processes: int) -> list[dict[str, Any]]:
    result = hw.gain(
        question.run,
        question.train,
        test=question.test,
        budgets="4",
        arms=["pretrained"],
        seeds=question.seeds,
        assign=[*FAST, f"machine.threads={processes}"],
        quiet=True,
    )
    told = json.loads(json.dumps(result.to_dict()))["cells"]
    return without_costs(told)


def without_costs(told: Any) -> Any:
    """What was found, without the times and the memory that it took."""
    if isinstance(told, dict):
        return {name: without_costs(value) for name, value in told.items() if name != "cost"}
    return [without_costs(value) for value in told] if isinstance(told, list) else told


def test_two_processes_find_what_one_finds(
    question: Question, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WORTH_SECONDS", 0.0)
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "one"))
    expected = measured(question, 1)
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "two"))
    assert measured(question, 2) == expected
    assert len(list((tmp_path / "two" / "gain").iterdir())) == len(expected)


def test_what_a_process_cannot_do_is_told_in_its_words(question: Question) -> None:
    nowhere = dataclasses.replace(question, run="nowhere")
    with Crew(nowhere, 1) as crew, pytest.raises(MissingInputError, match="no model in nowhere"):
        list(crew.train([Cell("scratch", 4, 0)], alone, go_on))


def test_a_process_that_was_killed_is_named_with_its_cell(question: Question) -> None:
    def kill() -> None:
        os.kill(crew.members[0].pid, signal.SIGKILL)

    with (
        Crew(question, 1) as crew,
        pytest.raises(TrainingStoppedError, match=r"scratch at 4 labels.*SIGKILL"),
    ):
        list(crew.train([Cell("scratch", 4, 0)], alone, kill))


def test_a_stop_ends_every_process(question: Question) -> None:
    def stop() -> None:
        raise InterruptedRunError("stopped")

    crew = Crew(question, 2)
    with pytest.raises(InterruptedRunError), crew:
        list(crew.train([Cell("scratch", 4, 0), Cell("scratch", 4, 1)], alone, stop))
    assert [member.returncode for member in crew.members] == [-signal.SIGKILL] * 2
