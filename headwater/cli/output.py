"""How a verb answers: one JSON object, or text for people."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

import typer

from headwater.errors import StorageError


def answer(value: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result of a verb on standard output; of several processes of one run only the first speaks."""
    if os.environ.get("RANK", "0") != "0":
        return
    _write((json.dumps(value, ensure_ascii=False) if as_json else text) + "\n")
    _write("", flush=True)


def rows(values: Iterable[Mapping[str, Any]]) -> None:
    """Print the JSON lines of a verb that streams rows."""
    for value in values:
        _write(json.dumps(value, ensure_ascii=False) + "\n", flush=True)  # whoever asks may wait for it


def piece(text: str) -> None:
    """Print a part of a text that is still being written."""
    _write(text, flush=True)


def _write(text: str, *, flush: bool = False) -> None:
    if cast(object, sys.stdout) is None:
        raise StorageError("standard output is closed; hand the answer on to a file or a program")
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except OSError as problem:
        # What is still buffered would fail once more, with a traceback, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(problem, BrokenPipeError):
            raise typer.Exit from problem  # the reader has seen enough: head, less
        raise StorageError(
            f"the answer cannot be written to standard output: {problem.strerror}; make room where it goes"
        ) from problem
