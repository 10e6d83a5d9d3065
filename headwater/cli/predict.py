"""``headwater predict``: answers, one JSON line a row."""

from headwater.cli import options
from headwater.cli.output import rows as print_rows


def command(
    run: options.TrainedRun,
    rows: options.Rows = "-",
    text: options.Text = None,
    encoding: options.Encoding = None,
    precision: options.Precision = "fp32",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer each row of a file, or of standard input, as JSON lines."""
    from headwater.data.encodings import encoding_named
    from headwater.run.verbs import open_run

    opened = open_run(run, precision=precision)
    with encoding_named(encoding):
        print_rows(opened.predict_rows(rows, text=options.columns(text), quiet=quiet))
