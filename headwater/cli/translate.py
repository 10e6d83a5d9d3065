"""``headwater translate``: texts in one language → texts in another, or whatever the model was fine-tuned to write."""

from headwater.cli import decoding as ways
from headwater.cli import options
from headwater.cli.output import rows as print_rows


def command(
    run: options.TrainedRun,
    rows: options.Rows = "-",
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
    prefix: ways.Prefix = "",
    text: options.Text = None,
    encoding: options.Encoding = None,
    seed: options.Seed = None,
    precision: options.WritingPrecision = "fp32",
    engine: options.Engine = "torch",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a text from each row of a file, or of standard input, as JSON lines: with 5 beams, unless it is drawn."""
    from headwater.data.encodings import encoding_named
    from headwater.run.verbs import open_run

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
        prefix=prefix,
        seed=seed or 0,
    )
    opened, columns = open_run(run, precision=precision, engine=engine), options.columns(text)
    with encoding_named(encoding):
        print_rows(opened.generate_rows(rows, decoding.for_translation(), text=columns, quiet=quiet))
