"""What a caller chose, what a file says, what is usual: in this order."""

from dataclasses import replace
from pathlib import Path

import pytest

from headwater.errors import SettingsError
from headwater.run.choosing_settings import choices_of, refuse_other_shapes, settings_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(
        'kind = "finetune"\ntask = "recommendation"\n[data]\npaths = ["events.tsv"]\n[training]\nseed = 7\n',
        encoding="utf-8",
    )
    return path


def test_a_file_is_heard_where_nothing_was_chosen(file: Path) -> None:
    found = settings_of("finetune", file, choices_of({"seed": None, "task": None}), ())
    assert (found.task, found.training.seed, found.model.size) == ("recommendation", 7, "nano")


def test_what_was_chosen_is_heard_first(file: Path) -> None:
    found = settings_of("finetune", file, choices_of({"seed": 0, "task": "tagging"}), ["training.steps=3"])
    assert (found.task, found.training.seed, found.training.steps) == ("tagging", 0, 3)


def test_rows_are_classified_where_nobody_says_more() -> None:
    found = settings_of("finetune", None, choices_of({"paths": ["rows.csv"]}), ())
    assert (found.task, found.training.seed, found.model.size) == ("classification", 0, "tiny")


def test_a_file_of_the_other_kind_is_refused(file: Path) -> None:
    with pytest.raises(SettingsError, match="use: headwater finetune"):
        settings_of("pretrain", file, {}, ())


@pytest.mark.parametrize(
    "name", ["width", "positions", "window", "backbone", "vocabulary_size", "token_vectors"]
)
def test_what_a_run_brings_cannot_be_set(name: str) -> None:
    values = {"width": 64, "positions": "alibi", "window": 9, "backbone": "recurrent", "vocabulary_size": 300}
    value = {**values, "token_vectors": "random"}[name]
    begun = settings_of(
        "pretrain",
        None,
        choices_of({"paths": ["x.txt"], "objective": "masked_tokens"}),
        [f"model.{name}={value}"],
    )
    refuse_other_shapes(begun)
    with pytest.raises(SettingsError, match=rf"model\.{name} does not fit: runs/parent brings its model"):
        refuse_other_shapes(replace(begun, start_from="runs/parent"))
