"""The options that several verbs share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.completing import (
    ENGINES,
    PRECISIONS,
    SIZES,
    WRITING_PRECISIONS,
    in_words,
    one_of,
    runs,
    runs_or_scratch,
    settings_of_runs,
)
from headwater.errors import UsageError

Data = Annotated[
    list[Path],
    typer.Argument(
        help="Files or folders: txt, jsonl, csv, tsv, parquet, arrow, pictures, recordings, clips, and .gz, .zip and "
        ".tar of them."
    ),
]
Run = Annotated[
    str,
    typer.Argument(help="A run folder, or 'scratch' for random weights.", autocompletion=runs_or_scratch),
]
TrainedRun = Annotated[Path, typer.Argument(help="The folder of a run.", autocompletion=runs)]
Rows = Annotated[str, typer.Argument(help="A file with one text a row, or - for standard input.")]
Train = Annotated[Path, typer.Argument(help="The labelled training file or folder.")]
Out = Annotated[Path, typer.Option("--out", help="The run folder to make.")]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32, bf16, or auto: bf16 where the processor has it, faster for many rows, less exact.",
        autocompletion=one_of(PRECISIONS),
    ),
]
WritingPrecision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32, bf16, auto, or int8 (with --engine ctranslate2).",
        autocompletion=one_of(WRITING_PRECISIONS),
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Of texts: torch, or ctranslate2, which writes the same faster on a CPU.",
        autocompletion=one_of(ENGINES),
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output; progress goes to standard error.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Text = Annotated[
    str | None,
    typer.Option("--text", help="The text column, or several: title,text. Of events: user,item,time."),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding", help="Of texts and tables that are not UTF-8: cp1252, shift_jis; else guessed."
    ),
]
Label = Annotated[str | None, typer.Option("--label", help="The label column.")]
PairOfRows = Annotated[
    str | None,
    typer.Option(
        "--pair", help="Read two things of each row: image,text; or columns: image=photo,text=title."
    ),
]
Validation = Annotated[
    Path | None, typer.Option("--validation", help="A labelled file to choose settings on.")
]
Steps = Annotated[int | None, typer.Option("--steps", help="Optimiser steps.")]
Minutes = Annotated[
    float | None, typer.Option("--minutes", help="Time to spend; turned into steps before step 0.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="The seed of everything random; else 0.")]
Size = Annotated[
    str | None,
    typer.Option("--size", help=f"{in_words(SIZES)}.", autocompletion=one_of(SIZES)),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting: --set training.learning_rate=0.001")
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from", help="Settings to start from: RUN/settings.toml.", autocompletion=settings_of_runs
    ),
]


def numbers(name: str, text: str | None) -> tuple[float, ...] | None:
    """``0.4,0.6`` as numbers; UsageError where one is none."""
    try:
        return None if text is None else tuple(map(float, text.split(",")))
    except ValueError as problem:
        raise UsageError(
            f"{name} {text}: expected numbers with commas between them, as in 0.4,0.6"
        ) from problem


def columns(text: str | None) -> tuple[str, ...] | None:
    """``title,text`` as two column names."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None
