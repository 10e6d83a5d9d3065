"""Writing with a model: token by token, many texts at a time, or along several beams."""

from headwater.models.generation.beam import BeamSearch, Hypothesis
from headwater.models.generation.drawing import Watch, draw
from headwater.models.generation.sampling import Sampling
from headwater.models.generation.streaming import TextStream
from headwater.models.generation.writer import (
    Prompt,
    Source,
    Tokens,
    Writer,
    beyond_positions,
    require_writer,
    writer_for,
)
from headwater.models.generation.writing import Ending, OpenText, OwnPen, Pen, Written, write

__all__ = [
    "BeamSearch",
    "Ending",
    "Hypothesis",
    "OpenText",
    "OwnPen",
    "Pen",
    "Prompt",
    "Sampling",
    "Source",
    "TextStream",
    "Tokens",
    "Watch",
    "Writer",
    "Written",
    "beyond_positions",
    "draw",
    "require_writer",
    "write",
    "writer_for",
]
