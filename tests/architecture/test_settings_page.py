"""docs/settings.md names every setting that there is, and none that there is not."""

import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.run.settings import RunSettings
from headwater.training.optimizers import OPTIMIZERS
from headwater.training.schedules import SCHEDULES

PAGE = (Path(__file__).parents[2] / "docs/settings.md").read_text(encoding="utf-8")
SECTIONS = ("data", "model", "objective", "training", "adapter", "machine")


def settings(kind: Any = RunSettings, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its full name, with its type."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from settings(hints[field.name], f"{field.name}.")
        else:
            yield f"{where}{field.name}", hints[field.name]


def choices(hint: Any) -> Iterator[str]:
    """The words of a setting that takes one of a few."""
    if typing.get_origin(hint) is typing.Literal:
        yield from map(str, typing.get_args(hint))
    for part in typing.get_args(hint):
        yield from choices(part)


NAMES = dict(settings())
ROWS = {line.split("`")[1]: line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")}


def test_every_setting_has_a_row() -> None:
    assert not NAMES.keys() - ROWS.keys()


def test_no_row_or_example_is_of_a_setting_that_is_not_there() -> None:
    named = re.findall(rf"\b(?:{'|'.join(SECTIONS)})\.[a-z_]+(?!\w*\.(?:md|py))", PAGE)
    assert named
    assert not set(named) - NAMES.keys()


@pytest.mark.parametrize("name", [name for name, hint in NAMES.items() if any(choices(hint))])
def test_the_row_of_a_setting_lists_its_choices(name: str) -> None:
    assert set(choices(NAMES[name])) <= set(re.findall(r"`([^`]+)`", ROWS[name][1]))


@pytest.mark.parametrize(
    ("name", "known"), [("training.optimizer", OPTIMIZERS), ("training.schedule", SCHEDULES)]
)
def test_names_of_registries_are_listed_and_explained(name: str, known: dict[str, Any]) -> None:
    assert known.keys() == set(re.findall(r"`([^`]+)`", ROWS[name][1]))
    assert known.keys() <= ROWS.keys()
