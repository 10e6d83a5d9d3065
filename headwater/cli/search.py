"""``headwater search``: the documents of a corpus that are nearest to a query."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.output import answer


def command(
    run: options.TrainedRun,
    corpus: Annotated[Path, typer.Argument(help="The file or folder to look in.")],
    query: Annotated[
        str,
        typer.Argument(help="A text (of media: a file) to look for, or - for one a line of standard input."),
    ],
    top: Annotated[int, typer.Option("--top", help="How many documents to show.")] = 10,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Of media: draw the query and what it finds (.png).")
    ] = None,
    text: options.Text = None,
    encoding: options.Encoding = None,
    precision: options.Precision = "fp32",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find what is nearest to QUERY; vectors of CORPUS are made once and kept. With - and --json: JSON lines."""
    from headwater.data.encodings import encoding_named
    from headwater.run.searching import in_words, search, search_rows
    from headwater.run.verbs import open_run

    folder, columns = open_run(run, precision=precision).folder, options.columns(text)
    with encoding_named(encoding):
        if query == "-":
            for found in search_rows(folder, corpus, top=top, text=columns, quiet=quiet):
                answer(found, in_words(found), as_json=json)
        else:
            found = search(folder, corpus, query, top=top, text=columns, sheet=sheet, quiet=quiet)
            answer(found, in_words(found), as_json=json)
