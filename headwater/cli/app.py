"""The program ``headwater``: the verbs, and how errors leave it."""

import os
import sys

import typer

import headwater
from headwater.cli import demo, embed, evaluate, finetune, gain, inspect, predict, pretrain, resume, runs
from headwater.errors import HeadwaterError

VERBS = {
    "demo": demo.command,
    "inspect": inspect.command,
    "pretrain": pretrain.command,
    "finetune": finetune.command,
    "evaluate": evaluate.command,
    "predict": predict.command,
    "embed": embed.command,
    "gain": gain.command,
    "resume": resume.command,
    "runs": runs.command,
}

app = typer.Typer(
    name="headwater",
    help="Turn your own unlabelled data into a Transformer, fine-tune it on few labels, and measure the gain.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _name, _command in VERBS.items():
    app.command(_name)(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"headwater {headwater.__version__}")
        raise typer.Exit


def _remember_debug(wanted: bool) -> None:
    if wanted:
        os.environ["HEADWATER_DEBUG"] = "1"


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
    debug: bool = typer.Option(
        False, "--debug", callback=_remember_debug, help="Show the traceback of an error."
    ),
) -> None:
    """Options that stand before the verb."""


def main() -> None:
    """Run the command line; an error that a user can mend is one line and the exit code of its kind."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1 or "HEADWATER_DEBUG" in os.environ
    try:
        app(arguments, prog_name="headwater")
    except HeadwaterError as problem:
        if debug:
            raise
        typer.echo(f"headwater: {problem}", err=True)
        sys.exit(problem.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: head, less
        sys.exit(0)
    except MemoryError as problem:
        if debug:
            raise
        typer.echo(
            "headwater: the memory is full; lower --set training.batch_tokens, choose a smaller --size, or give "
            f"the process more ({problem or 'no details'})",
            err=True,
        )
        sys.exit(70)
