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
    encoding: options.Encoding = None,
    precision: options.Precision = "fp32",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Embed each row of a file, or of standard input: JSON lines, or an array with --out."""
    from headwater.data.encodings import encoding_named
    from headwater.run.verbs import open_run

    opened, columns = open_run(run, precision=precision), options.columns(text)
    with encoding_named(encoding):
        if out is None:
            print_rows(opened.embed_rows(rows, text=columns, quiet=quiet))
            return
        written = opened.embed_file(rows, out, text=columns, quiet=quiet)
    answer(written, f"{written['rows']} vectors of {written['width']} numbers in {out}", as_json=json)
