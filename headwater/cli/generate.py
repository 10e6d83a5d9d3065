"""``headwater generate``: a model goes on writing."""

from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli import decoding as ways
from headwater.cli import options
from headwater.cli.output import answer, piece
from headwater.cli.output import rows as print_rows
from headwater.errors import UsageError


def command(
    run: options.TrainedRun,
    rows: Annotated[
        str | None, typer.Argument(help="Instead of --prompt: a file with one prompt a row, or -.")
    ] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", help="What the text begins with.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Of a run of image_generation: the picture file to draw.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option("--samples", help="How many texts to write to the prompt, or pictures to draw."),
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Show the text as it is written.")] = False,
    max_tokens: ways.MaxTokens = None,
    beam: ways.Beam = None,
    length_penalty: ways.LengthPenalty = 0.6,
    temperature: ways.Temperature = None,
    top_k: ways.TopK = None,
    top_p: ways.TopP = None,
    min_p: ways.MinP = None,
    repetition_penalty: ways.RepetitionPenalty = 1.0,
    no_repeat_ngram: ways.NoRepeatNgram = 0,
    stop: ways.Stop = None,
    text: options.Text = None,
    encoding: options.Encoding = None,
    seed: options.Seed = None,
    precision: options.WritingPrecision = "fp32",
    engine: options.Engine = "torch",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write on from --prompt, or from each row of a file as JSON lines; or draw pictures into --out."""
    if sum(given is not None for given in (rows, prompt, out)) != 1:
        raise UsageError(
            "expected one of three: --prompt TEXT, a file of prompts, or --out samples.png of a run that draws"
        )
    if samples is not None and samples < 1:
        raise UsageError(f"samples = {samples}; expected 1 or more")
    from headwater.data.encodings import encoding_named
    from headwater.run.verbs import open_run

    if out is not None:
        for_texts = {
            "--beam": beam,
            "--top-k": top_k,
            "--min-p": min_p,
            "--stop": stop,
            "--stream": stream or None,
            "--engine": None if engine == "torch" else engine,
        }
        if strange := [name for name, value in for_texts.items() if value is not None]:
            raise UsageError(
                f"{strange[0]} is for texts; pictures are drawn with --temperature, --top-p and --seed"
            )
        drawn = open_run(run, precision=precision).draw(
            out,
            samples or 16,
            seed=seed or 0,
            temperature=1.0 if temperature is None else temperature,
            top_p=0.95 if top_p is None else top_p,
            quiet=quiet,
        )
        answer(drawn, f"{drawn['pictures']} pictures in {drawn['out']}", as_json=json)
        return

    several = samples if samples != 1 else None
    if rows is not None:
        _refuse_for_rows({"--stream": stream or None, "--samples": several})
    if stream:
        _refuse_for_a_stream({"--json": json or None, "--samples": several, "--beam": beam})
    if beam is not None and several is not None:
        raise UsageError(
            f"a beam search finds one text and would write it {several} times; leave --samples or --beam out"
        )
    decoding = ways.decoding(
        max_tokens=max_tokens,
        beam=beam,
        length_penalty=length_penalty,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram=no_repeat_ngram,
        stop=stop,
        seed=seed or 0,
    )
    opened = open_run(run, precision=precision, engine=engine)
    if prompt is None:
        with encoding_named(encoding):
            print_rows(opened.generate_rows(str(rows), decoding, text=options.columns(text), quiet=quiet))
    elif stream:
        pieces = opened.stream(prompt, decoding)
        begun = next(pieces, "")  # what cannot be written is known by now, and nothing is shown yet
        for part in chain([prompt] if opened.goes_on else [], [begun], pieces, ["\n"]):
            piece(part)
    else:
        written = opened.generate([prompt] * (samples or 1), decoding, quiet=quiet)
        before = prompt if opened.goes_on else ""
        answer({"texts": written}, "\n\n".join(f"{before}{one['text']}" for one in written), as_json=json)


def _refuse_for_rows(given: dict[str, Any]) -> None:
    """A file of prompts is answered by one JSON line a row."""
    if strange := [name for name, value in given.items() if value is not None]:
        raise UsageError(
            f"{strange[0]} goes with --prompt, and each row of a file is answered by one JSON line; leave "
            f"{strange[0]} out, or ask with --prompt TEXT"
        )


def _refuse_for_a_stream(given: dict[str, Any]) -> None:
    """One text is shown while it is written."""
    reasons = {
        "--json": "--stream shows the text as it is written, --json one object when all of it is",
        "--samples": "--stream shows one text as it is written",
        "--beam": "a beam search knows its text only at the end",
    }
    if strange := [name for name, value in given.items() if value is not None]:
        raise UsageError(f"{reasons[strange[0]]}; leave --stream or {strange[0]} out")
