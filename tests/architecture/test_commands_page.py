"""docs/commands.md names every verb with all of its options, and none that it does not have."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from headwater.cli.app import VERBS, app

PAGE = (Path(__file__).parents[2] / "docs/commands.md").read_text(encoding="utf-8")
SHARED, *_VERBS = re.split(r"^## (?=headwater )", PAGE.split("\n## ", 1)[1], flags=re.MULTILINE)
SECTIONS = {section.split(maxsplit=2)[1]: section.split("\n## ")[0] for section in _VERBS}


def options_in(rows: str) -> set[str]:
    """Options in the first cell of the rows of tables."""
    cells = [line.split(" | ")[0] for line in rows.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(--[a-z-]+)`", " ".join(cells)))


def options_of(verb: str) -> set[str]:
    commands = getattr(get_command(app), "commands")  # noqa: B009 (a group's; the type says less)
    return {word for option in commands[verb].params for word in option.opts if word.startswith("--")}


def test_every_verb_has_a_section() -> None:
    assert SECTIONS.keys() == VERBS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_is_explained(verb: str) -> None:
    assert not options_of(verb) - options_in(SECTIONS[verb]) - options_in(SHARED)


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_is_explained_that_the_verb_does_not_have(verb: str) -> None:
    assert not options_in(SECTIONS[verb]) - options_of(verb)
