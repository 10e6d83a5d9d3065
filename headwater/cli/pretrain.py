"""``headwater pretrain``: unlabelled data → a Transformer of your own."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.completing import PRETEXT_TASKS, runs, several_of
from headwater.cli.output import answer


def command(
    data: Annotated[list[Path] | None, typer.Argument(help="Files or folders of unlabelled data.")] = None,
    out: options.Out = Path("runs/pretrained"),
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective",
            help="The pretext task, or several: masked_tokens=1,sentence_order=0.3.",
            autocompletion=several_of(PRETEXT_TASKS),
        ),
    ] = None,
    size: options.Size = None,
    steps: options.Steps = None,
    minutes: options.Minutes = None,
    text: options.Text = None,
    encoding: options.Encoding = None,
    pair: Annotated[
        str | None,
        typer.Option("--pair", help="What belongs together: image,text; or columns: audio=wav,image=row."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="How much of each of DATA is read: 0.4,0.6. Else all of it alike."),
    ] = None,
    hold_out: Annotated[
        list[Path] | None,
        typer.Option("--hold-out", help="Rows like those of this file stay out of the pool."),
    ] = None,
    probe: Annotated[
        Path | None, typer.Option("--probe", help="Labelled rows to probe the model on as it learns.")
    ] = None,
    continue_run: Annotated[
        Path | None,
        typer.Option("--continue", help="A run whose weights to go on from.", autocompletion=runs),
    ] = None,
    stop_when_flat: Annotated[
        bool, typer.Option("--stop-when-flat", help="End when the held-out loss no longer falls.")
    ] = False,
    seed: options.Seed = None,
    set_: options.Set = None,
    from_: options.From = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Pre-train on unlabelled data. Without --steps or --minutes: 10 minutes."""
    from headwater.run.verbs import pretrain

    run = pretrain(
        data or (),
        out=out,
        settings=from_,
        assign=set_ or (),
        quiet=quiet,
        objective=objective,
        size=size,
        steps=steps,
        minutes=minutes,
        text=options.columns(text),
        encoding=encoding,
        pair=options.columns(pair),
        weights=options.numbers("--weights", weights),
        hold_out=hold_out,
        probe=probe,
        start_from=continue_run,
        stop_when_flat=stop_when_flat or None,
        seed=seed,
    )
    answer(run.to_dict(), str(run), as_json=json)
