"""``headwater embed``: one vector a row."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.output import answer
from headwater.cli.output import rows as print_rows


def command(
    run: options.TrainedRun,
    rows: options.Rows = "-",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a numpy array here instead: vectors.npy.")
    ] = None,
    text: options.Text = None,
    precision: options.Precision = "fp32",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Embed each row of a file, or of standard input: JSON lines, or an array with --out."""
    from headwater.run.verbs import open_run

    if out is None:
        print_rows(
            open_run(run, precision=precision).embed_rows(rows, text=options.columns(text), quiet=quiet)
        )
        return
    written = open_run(run, precision=precision).embed_file(
        rows, out, text=options.columns(text), quiet=quiet
    )
    answer(written, f"{written['rows']} vectors of {written['width']} numbers in {out}", as_json=json)
