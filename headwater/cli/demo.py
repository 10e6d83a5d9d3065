"""``headwater demo``: the main job on text that every Python carries."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.output import answer


def command(
    out: Annotated[Path, typer.Option("--out", help="Where the demo's runs and report go.")] = Path(
        "runs/demo"
    ),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Pre-train, fine-tune and measure the gain on an embedded corpus, in a few minutes."""
    from headwater.experiments.demo import demo

    result = demo(out, quiet=quiet)
    answer(result.to_dict(), str(result), as_json=json)
