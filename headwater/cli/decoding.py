"""The options of verbs that write texts, and the decoding that they describe."""

from typing import Annotated, Any

import typer

MaxTokens = Annotated[int | None, typer.Option("--max-tokens", help="Most tokens of a text.")]
Beam = Annotated[int | None, typer.Option("--beam", help="Search with so many beams; draw nothing.")]
LengthPenalty = Annotated[
    float, typer.Option("--length-penalty", help="Of a beam search: above 0 favours longer texts.")
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", help="Above 1 bolder; 0: the most probable token.")
]
TopK = Annotated[int | None, typer.Option("--top-k", help="Draw from the k most probable.")]
TopP = Annotated[float | None, typer.Option("--top-p", help="Draw from the fewest that reach this share.")]
MinP = Annotated[
    float | None, typer.Option("--min-p", help="Draw from those this probable beside the first.")
]
RepetitionPenalty = Annotated[
    float, typer.Option("--repetition-penalty", help="Above 1: tokens seen before are less probable.")
]
NoRepeatNgram = Annotated[
    int, typer.Option("--no-repeat-ngram", help="No run of so many tokens comes twice.")
]
Stop = Annotated[list[str] | None, typer.Option("--stop", help="End before this text.")]
Prefix = Annotated[str, typer.Option("--prefix", help="What every written text begins with.")]


def decoding(**choices: Any) -> Any:
    """The decoding that the options describe."""
    from headwater.run.generating import Decoding

    values: dict[str, Any] = {**choices, "stop": tuple(choices.get("stop") or ())}
    return Decoding(**values)
