"""Some texts as a model wrote them, beside those of people: what no number shows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SHOWN = 10
"""Rows that are shown."""
LONGEST_SHOWN = 300
"""Characters of a text that is printed; in JSON it is whole."""


@dataclass(frozen=True, slots=True)
class Written:
    """A text that was written from ``source``: a text, or a file of what is seen or heard."""

    source: str
    reference: str
    written: str

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


def written_in(values: Sequence[Mapping[str, str]]) -> tuple[Written, ...]:
    """The reverse of ``to_dict``, for many."""
    return tuple(Written(value["source"], value["reference"], value["written"]) for value in values)


def spread(count: int) -> list[int]:
    """Which of so many rows are shown: ten at even distances, or all of fewer."""
    return [number * count // SHOWN for number in range(SHOWN)] if count > SHOWN else list(range(count))


def some_of(sources: Sequence[str], references: Sequence[str], written: Sequence[str]) -> tuple[Written, ...]:
    """What is shown of all rows."""
    return tuple(Written(sources[row], references[row], written[row]) for row in spread(len(written)))


def told(examples: Sequence[Written]) -> str:
    """The examples as text for people; "" where there are none."""
    lines: list[str] = []
    for example in examples:
        lines += [
            _cut(example.source),
            f"  reference  {_cut(example.reference)}",
            f"  written    {_cut(example.written)}",
        ]
    return "\n".join(lines)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SHOWN else f"{line[: LONGEST_SHOWN - 1]}…"
