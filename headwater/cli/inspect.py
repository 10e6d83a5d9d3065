"""``headwater inspect``: what was understood of the data; writes nothing but the contact sheet that is asked for."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.output import answer


def command(
    data: options.Data,
    text: options.Text = None,
    encoding: options.Encoding = None,
    label: options.Label = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Of media: draw a contact sheet into this file (.png).")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show files, columns, scripts, sizes and problems; of media sizes, lengths and what is broken."""
    from headwater.data.encodings import encoding_named
    from headwater.data.media_tables import modality_of
    from headwater.errors import UsageError

    with encoding_named(encoding):
        modality = modality_of(data)
    if modality != "text":
        from headwater.data.media_inspection import inspect_media

        with encoding_named(encoding):
            found = inspect_media(data, modality=modality, label=label, sheet=sheet)
        answer(found.to_dict(), str(found), as_json=json)
        return
    if sheet is not None:
        raise UsageError(f"--sheet draws pictures, and {data[0]} holds text; leave it out")
    from headwater.data.inspection import inspect

    with encoding_named(encoding):
        inspection = inspect(data, text=options.columns(text), label=label)
    answer(inspection.to_dict(), str(inspection), as_json=json)
