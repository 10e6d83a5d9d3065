"""``headwater generate``: a model that reads the past goes on writing."""

from itertools import chain
from typing import Annotated

import typer

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
    samples: Annotated[int, typer.Option("--samples", help="How many texts to write to the prompt.")] = 1,
    stream: Annotated[bool, typer.Option("--stream", help="Show the text as it is written.")] = False,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Most tokens of a text.")] = 200,
    beam: Annotated[
        int | None, typer.Option("--beam", help="Search with so many beams; draw nothing.")
    ] = None,
    length_penalty: Annotated[
        float, typer.Option("--length-penalty", help="Of a beam search: above 0 favours longer texts.")
    ] = 0.6,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Above 1 bolder; 0: the most probable token.")
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", help="Draw from the k most probable.")] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", help="Draw from the fewest that reach this share.")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option("--min-p", help="Draw from those this probable beside the first.")
    ] = None,
    repetition_penalty: Annotated[
        float, typer.Option("--repetition-penalty", help="Above 1: tokens seen before are less probable.")
    ] = 1.0,
    no_repeat_ngram: Annotated[
        int, typer.Option("--no-repeat-ngram", help="No run of so many tokens comes twice.")
    ] = 0,
    stop: Annotated[list[str] | None, typer.Option("--stop", help="End before this text.")] = None,
    text: options.Text = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write on from --prompt, or from each row of a file as JSON lines."""
    from headwater.run.generating import Decoding
    from headwater.run.verbs import open_run

    decoding = Decoding(
        max_tokens=max_tokens,
        beam=beam,
        length_penalty=length_penalty,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram=no_repeat_ngram,
        stop=tuple(stop or ()),
        seed=seed,
    )
    if (rows is None) == (prompt is None):
        raise UsageError("expected --prompt TEXT, or a file with one prompt a row: one of the two")
    opened = open_run(run)
    if prompt is None:
        assert rows is not None
        print_rows(opened.generate_rows(rows, decoding, text=options.columns(text), quiet=quiet))
    elif stream:
        for part in chain([prompt], opened.stream(prompt, decoding), ["\n"]):
            piece(part)
    else:
        written = opened.generate([prompt] * samples, decoding, quiet=quiet)
        answer(
            {"texts": written}, "\n\n".join(f"{one['prompt']}{one['text']}" for one in written), as_json=json
        )
