"""``headwater resume``: go on where a run was."""

from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.output import answer
from headwater.errors import StorageError


def command(
    run: options.TrainedRun,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Train nothing; read all checkpoints and say whether they are whole."),
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Go on with a run that was stopped; a finished one says so."""
    from headwater.run.verbs import resume, verify_run

    result = verify_run(run) if verify else resume(run, quiet=quiet)
    answer(result.to_dict(), str(result), as_json=json)
    if verify and result.to_dict()["findings"]:
        raise typer.Exit(StorageError.exit_code)
