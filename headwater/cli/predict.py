"""``headwater predict``: answers, one JSON line a row."""

from headwater.cli import options
from headwater.cli.output import rows as print_rows


def command(
    run: options.TrainedRun,
    rows: options.Rows = "-",
    text: options.Text = None,
    precision: options.Precision = "fp32",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer each row of a file, or of standard input, as JSON lines."""
    from headwater.run.verbs import open_run

    print_rows(open_run(run, precision=precision).predict_rows(rows, text=options.columns(text), quiet=quiet))
