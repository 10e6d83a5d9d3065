"""``headwater evaluate``: metrics with 95 % intervals, and the confusion matrix."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.output import answer


def command(
    run: options.TrainedRun,
    test: Annotated[Path, typer.Argument(help="The labelled test file; of a language model, texts.")],
    text: options.Text = None,
    encoding: options.Encoding = None,
    label: options.Label = None,
    precision: options.WritingPrecision = "fp32",
    engine: options.Engine = "torch",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Judge a fine-tuned RUN on labelled rows, or a language model on texts."""
    from headwater.data.encodings import encoding_named
    from headwater.run.verbs import open_run

    opened = open_run(run, precision=precision, engine=engine)
    with encoding_named(encoding):
        result = opened.evaluate(test, text=options.columns(text), label=label, quiet=quiet)
    how = {"precision": opened.folder.writes or opened.folder.precision, "engine": engine}
    usual = how == {"precision": "fp32", "engine": "torch"}
    told = str(result) if usual else f"{result}\nin {how['precision']} by {engine}"
    answer({**result.to_dict(), "read_in": how}, told, as_json=json)
