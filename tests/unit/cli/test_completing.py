"""What the Tab key offers is what the verbs know."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from headwater.cli import completing
from headwater.experiments import demo, plan
from headwater.run import deriving, folder, verbs
from headwater.run.choosing_objective import PRETEXT_OBJECTIVES
from headwater.run.settings import Precision, TrainingSettings
from headwater.run.tasks import TASKS

REGISTRIES: dict[str, tuple[Sequence[str], Collection[object]]] = {
    "tasks": (completing.TASKS, TASKS),
    "pretext tasks": (
        completing.PRETEXT_TASKS,
        {name for kind in PRETEXT_OBJECTIVES.values() for name in kind},
    ),
    "sizes": (completing.SIZES, deriving.PRETRAINING),
    "adaptations": (completing.ADAPTATIONS, get_args(get_type_hints(TrainingSettings)["adapt"])),
    "precisions": (completing.PRECISIONS, {*get_args(Precision), "auto"}),
    "engines": (completing.ENGINES, folder.ENGINES),
    "arms": (completing.ARMS, plan.ARMS),
    "budgets": (completing.BUDGETS, {str(budget) for budget in plan.BUDGETS}),
    "demos": (completing.DEMOS, demo.DEMOS),
    "random weights": ((completing.SCRATCH,), {verbs.SCRATCH}),
}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_the_light_names_are_those_of_the_registry(kind: str) -> None:
    light, registry = REGISTRIES[kind]
    assert sorted(light) == sorted(map(str, registry))


def test_one_name_is_offered_from_what_is_begun() -> None:
    assert completing.one_of(("full", "head", "lora"))("h") == ["head"]


def test_after_a_comma_the_next_name_is_offered_and_none_twice() -> None:
    complete = completing.several_of(("masked_tokens", "sentence_order", "sentence_contrast"))
    assert complete("masked_tokens=1,sent") == [
        "masked_tokens=1,sentence_order",
        "masked_tokens=1,sentence_contrast",
    ]
    assert complete("masked_tokens=1,mask") == []


def run_folder(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "settings.toml").touch()


def test_runs_are_found_below_what_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder(Path("runs/notes"))
    run_folder(Path("runs/tagger"))
    Path("notes").mkdir()
    assert completing.runs("") == ["runs/notes", "runs/tagger"]
    assert completing.runs("runs/n") == ["runs/notes"]


def test_runs_are_not_looked_for_inside_of_a_run(tmp_path: Path) -> None:
    run_folder(tmp_path / "notes")
    run_folder(tmp_path / "notes/inner")
    assert completing.runs(f"{tmp_path}/") == [f"{tmp_path}/notes"]


def test_a_folder_that_is_not_there_offers_nothing(tmp_path: Path) -> None:
    assert completing.runs(f"{tmp_path}/missing/") == []


def test_random_weights_are_offered_beside_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder(Path("sorter"))
    assert completing.runs_or_scratch("s") == ["scratch", "sorter"]


def test_settings_are_offered_by_their_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder(Path("notes"))
    assert completing.settings_of_runs("") == ["notes/settings.toml"]
