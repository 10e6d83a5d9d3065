"""How a verb answers: one JSON object, or text for people."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import typer


def answer(value: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result of a verb on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def row(value: Mapping[str, Any]) -> None:
    """Print one JSON line of a verb that streams rows."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
