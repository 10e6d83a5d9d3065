"""``headwater runs``: a table of runs."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.output import answer


def command(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the runs.")] = Path("runs"),
    json: options.Json = False,
) -> None:
    """List the runs in a folder: what they are, how far they are, how good."""
    from headwater.run.verbs import runs

    table = runs(folder)
    answer(table.to_dict(), str(table), as_json=json)
