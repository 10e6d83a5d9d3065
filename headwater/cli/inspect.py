"""``headwater inspect``: what was understood of the data; writes nothing."""

from headwater.cli import options
from headwater.cli.output import answer


def command(
    data: options.Data,
    text: options.Text = None,
    label: options.Label = None,
    json: options.Json = False,
) -> None:
    """Show files, columns, languages, sizes and problems."""
    from headwater.data.inspection import inspect

    inspection = inspect(data, text=options.columns(text), label=label)
    answer(inspection.to_dict(), str(inspection), as_json=json)
