"""The program ``headwater``: the verbs, and how errors leave it."""

import os
import re
import sys

import typer

import headwater
from headwater.cli import (
    demo,
    embed,
    evaluate,
    finetune,
    gain,
    generate,
    inspect,
    predict,
    pretrain,
    resume,
    runs,
    search,
    translate,
)
from headwater.cli.parsing import Verb, Verbs
from headwater.errors import (
    HeadwaterError,
    InterruptedRunError,
    StorageError,
    TrainingStoppedError,
    UsageError,
)

VERBS = {
    "demo": demo.command,
    "inspect": inspect.command,
    "pretrain": pretrain.command,
    "finetune": finetune.command,
    "evaluate": evaluate.command,
    "predict": predict.command,
    "embed": embed.command,
    "search": search.command,
    "generate": generate.command,
    "translate": translate.command,
    "gain": gain.command,
    "resume": resume.command,
    "runs": runs.command,
}

INTERRUPTED = InterruptedRunError.exit_code
_GOES_ON = "a run goes on from its last checkpoint: headwater resume RUN"
_LEFT = {
    **dict.fromkeys(("pretrain", "finetune", "resume"), _GOES_ON),
    "gain": "cells that were finished are kept: the same command goes on",
}
_LEFT_ELSE = "what was printed stands"
# torch says it with a RuntimeError, in these words on a CPU and on a GPU.
_memory_words = re.compile(r"can't allocate memory|out of memory", re.IGNORECASE)

app = typer.Typer(
    name="headwater",
    cls=Verbs,
    help="Turn your own unlabelled data into a Transformer, fine-tune it on few labels, and measure the gain.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _name, _command in VERBS.items():
    app.command(_name, cls=Verb)(_command)


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
        _refuse_what_is_no_text(arguments)
        app(arguments, prog_name="headwater")
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer ends so, without a word, after a KeyboardInterrupt
            verb = next((argument for argument in arguments if not argument.startswith("-")), "")
            typer.echo(f"headwater: stopped at once by Ctrl-C; {_LEFT.get(verb, _LEFT_ELSE)}", err=True)
        raise
    except Exception as problem:
        if debug:
            raise
        sentence, exit_code = _in_words(problem)
        typer.echo(f"headwater: {sentence}", err=True)
        sys.exit(exit_code)


def _refuse_what_is_no_text(arguments: list[str]) -> None:
    """UnicodeEncodeError for an argument that is neither text nor the name of a file."""
    for argument in arguments:
        if not os.path.exists(argument):  # noqa: PTH110 (texts may be longer than Path takes)
            argument.encode()


def _in_words(problem: Exception) -> tuple[str, int]:
    """What a person should read of an error, and the exit code of its kind."""
    if isinstance(problem, HeadwaterError):
        return str(problem), problem.exit_code
    if isinstance(problem, MemoryError) or _memory_words.search(str(problem)):
        return (
            "the memory is full; expected room for the model and one batch: lower --set training.batch_tokens, "
            f"choose a smaller --size, or give the process more ({_first_line(problem)})"
        ), TrainingStoppedError.exit_code
    if isinstance(problem, UnicodeEncodeError) and problem.encoding != "utf-8":
        return (
            f"what is to be written cannot be said in {problem.encoding}, as the terminal or the locale wants it; set "
            "PYTHONIOENCODING=utf-8"
        ), StorageError.exit_code
    if isinstance(problem, UnicodeEncodeError):
        return (
            f"a name or text given holds bytes that are not UTF-8 ({_first_line(problem)}); rename the file or folder, "
            "or write the text anew"
        ), UsageError.exit_code
    if isinstance(problem, OSError):
        return (
            f"the system refused: {problem}; make room or give access there, then run the same command again"
        ), StorageError.exit_code
    return (
        f"{type(problem).__name__}: {_first_line(problem)}; this is a fault of Headwater and not yours: run it again "
        "with --debug and report what it shows"
    ), TrainingStoppedError.exit_code


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or ["no details"])[0][:200]
