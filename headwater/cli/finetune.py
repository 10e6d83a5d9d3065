"""``headwater finetune``: a pre-trained model (or 'scratch') and a few labels → a model that answers."""

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options
from headwater.cli.completing import ADAPTATIONS, TASKS, in_words, one_of
from headwater.cli.output import answer


def command(
    run: options.Run,
    train: options.Train,
    out: options.Out = Path("runs/finetuned"),
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help=f"{in_words(TASKS)}; {TASKS[0]} unless said.",
            autocompletion=one_of(TASKS),
        ),
    ] = None,
    text: options.Text = None,
    encoding: options.Encoding = None,
    label: options.Label = None,
    pair: options.PairOfRows = None,
    validation: options.Validation = None,
    template: Annotated[
        str | None,
        typer.Option("--template", help="Of zero_shot: what is said of a class, as in 'a picture of a {}'."),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option("--names", help="Of zero_shot: other names of labels, as in 'back=seen from behind,…'."),
    ] = None,
    size: options.Size = None,
    steps: options.Steps = None,
    minutes: options.Minutes = None,
    adapt: Annotated[
        str | None,
        typer.Option(
            "--adapt",
            help="full; head: the backbone stays frozen; lora: small corrections; gradual: block by block.",
            autocompletion=one_of(ADAPTATIONS),
        ),
    ] = None,
    seed: options.Seed = None,
    set_: options.Set = None,
    from_: options.From = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune RUN on labelled rows. A fine-tuned RUN gets a new head."""
    from headwater.run.verbs import finetune

    tuned = finetune(
        run,
        train,
        out=out,
        task=task,
        settings=from_,
        assign=set_ or (),
        quiet=quiet,
        text=options.columns(text),
        encoding=encoding,
        label=label,
        pair=options.columns(pair),
        validation=validation,
        template=template,
        names=options.columns(names),
        size=size,
        steps=steps,
        minutes=minutes,
        adapt=adapt,
        seed=seed,
    )
    answer(tuned.to_dict(), str(tuned), as_json=json)
