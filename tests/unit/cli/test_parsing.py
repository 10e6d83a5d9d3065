"""The command line converts what is given, and leaves usual values as they are."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from headwater.cli.parsing import Verb, Verbs

app = typer.Typer(cls=Verbs, rich_markup_mode=None)


@app.callback()
def options() -> None:
    """Nothing stands before the verb."""


@app.command(cls=Verb)
def show(
    number: int,
    top: Annotated[int, typer.Option("--top")] = 10,
    names: Annotated[list[str] | None, typer.Option("--name")] = None,
) -> None:
    """Print what arrived."""
    typer.echo(repr((number, top, names)))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["7"], "(7, 10, None)"),
        (["7", "--top", "3"], "(7, 3, None)"),
        (["7", "--name", "a", "--name", "b"], "(7, 10, ['a', 'b'])"),
    ],
)
def test_given_values_are_converted_and_usual_ones_kept(words: list[str], told: str) -> None:
    assert CliRunner().invoke(app, ["show", *words]).output.strip() == told


def test_a_value_of_another_kind_is_refused() -> None:
    refused = CliRunner().invoke(app, ["show", "seven"])
    assert refused.exit_code == 2
    assert "Invalid value" in refused.output


def test_a_missing_argument_is_refused() -> None:
    refused = CliRunner().invoke(app, ["show"])
    assert refused.exit_code == 2
    assert "Missing argument" in refused.output
