"""``headwater demo``: the main job on data that every installation carries."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.completing import DEMOS, in_words, one_of
from headwater.cli.output import answer


def command(
    kind: Annotated[
        str,
        typer.Argument(help=f"Of which data: {in_words(DEMOS)}.", autocompletion=one_of(DEMOS)),
    ] = "text",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the demo's runs and report go; runs/demo unless said.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Pre-train, fine-tune and measure the gain on embedded data, in a few minutes."""
    from headwater.experiments.demo import demo

    result = demo(kind, out, quiet=quiet)
    answer(result.to_dict(), str(result), as_json=json)
