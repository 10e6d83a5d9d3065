"""``headwater gain``: what pre-training bought, with intervals."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.completing import ARMS, BUDGETS, one_of, several_of
from headwater.cli.output import answer


def command(
    run: options.TrainedRun,
    train: options.Train,
    test: Annotated[Path, typer.Option("--test", help="The labelled test file.")],
    task: Annotated[
        str,
        typer.Option(
            "--task", help="What the labels mean: classification.", autocompletion=one_of(["classification"])
        ),
    ] = "classification",
    text: options.Text = None,
    encoding: options.Encoding = None,
    label: options.Label = None,
    pair: options.PairOfRows = None,
    validation: options.Validation = None,
    shifted_test: Annotated[
        Path | None, typer.Option("--shifted-test", help="A test of other origin with the same labels.")
    ] = None,
    budgets: Annotated[
        str,
        typer.Option("--budgets", help="Labels a class: 8,32,128,all.", autocompletion=several_of(BUDGETS)),
    ] = "8,32,128,all",
    arms: Annotated[
        str | None,
        typer.Option(
            "--arms",
            help="Only these, as pretrained,scratch,floor; the first two always.",
            autocompletion=several_of(ARMS),
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="How often everything is repeated.")] = 3,
    rates: Annotated[
        int,
        typer.Option("--rates", help="Learning rates that each arm chooses among: 3, or 1, the middle one."),
    ] = 3,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", help="Time to spend: cuts seeds first, then budgets, never arms."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder of the report; else RUN/reports.")
    ] = None,
    set_: options.Set = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure RUN against scratch, recurrent and convolutional arms and a linear floor."""
    from headwater.data.encodings import encoding_named
    from headwater.experiments.gain import gain

    with encoding_named(encoding):
        result = gain(
            run,
            train,
            test=test,
            task=task,
            text=options.columns(text),
            label=label,
            pair=options.columns(pair),
            validation=validation,
            shifted_test=shifted_test,
            budgets=budgets,
            arms=arms,
            seeds=seeds,
            rates=rates,
            minutes=minutes,
            assign=set_ or (),
            out=out,
            quiet=quiet,
        )
    answer(result.to_dict(), str(result), as_json=json)
