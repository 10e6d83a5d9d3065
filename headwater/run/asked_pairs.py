"""Pairs that a finished run is asked about: both sides of a row as Python, a line or a table names them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headwater.data.cutting import Cut
from headwater.data.decoding import flaw
from headwater.data.examples import Both, Example, Thing
from headwater.data.kinds import SIDES, Side
from headwater.data.pair_cut import PairCut
from headwater.data.problems import Problem
from headwater.data.readers.columns import listed
from headwater.data.readers.json_rows import as_cell
from headwater.data.readers.pictures import Pixels
from headwater.errors import BadDataError, UsageError
from headwater.run.named_medium import picture_of

PAIR = 2
"""Things of a row that are compared, or read together."""


def pair_of(row: object, cut: PairCut, array: Callable[[Any, int], Pixels]) -> Both:
    """The pair that Python asks about: two things in the order of the sides, or a mapping of sides or columns.

    What is no text is a file, or an ``array`` of the side of that number; one film alone is seen and heard. Raises
    UsageError for anything else, BadDataError for a file that cannot be read.
    """
    values: Any = [_named(row, cut, side) for side in cut.sides] if isinstance(row, Mapping) else row
    if cut.of_films and isinstance(values, str | Path):
        values = [values] * PAIR
    if not isinstance(values, list | tuple) or len(values) != PAIR or any(value is None for value in values):
        raise UsageError(f"found the row {row!r}; expected {_expected(cut)}")
    things: list[Thing] = []
    for place, (value, one) in enumerate(zip(values, cut.cuts, strict=True)):
        if isinstance(value, str | Path):
            things.append(_thing(str(value), one, cut))
        elif one is not None:
            things.append(array(value, place))
        else:
            raise UsageError(f"found {value!r}; expected {_expected(cut)}")
    return _both(things)


def pair_in_line(line: str, number: int, cut: PairCut) -> Example | Problem:
    """The pair of a line of standard input: JSON by sides or columns, or both with a tab between them.

    One film alone is seen and heard.
    """

    def unusable(reason: str, detail: str) -> Problem:
        return Problem("standard input", number, reason, detail)

    cells: list[str | None] = list(line.split("\t"))
    if line.startswith("{"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as problem:
            return unusable("invalid JSON", str(problem))
        cells = [as_cell(_named(value, cut, side)) for side in cut.sides]
    if len(cells) == 1 and cut.of_films:
        cells *= PAIR
    texts = [cell.strip() for cell in cells if cell and cell.strip()]
    if len(cells) != PAIR or len(texts) != PAIR:
        return unusable("no pair", f"expected {_expected(cut)}")
    try:
        both = _both([_thing(text, one, cut) for text, one in zip(texts, cut.cuts, strict=True)])
    except BadDataError as problem:
        return unusable("a side cannot be read", str(problem))
    said = tuple(thing for thing in (both.first, both.second) if isinstance(thing, str))
    return Example(said, None, "standard input", number, both=both)


def _thing(said: str, one: Cut | None, cut: PairCut) -> Thing:
    """A text, or the file of that name; BadDataError where it is none that can be read."""
    if one is not None:
        return picture_of(said, one, heard=cut.of_films)
    if reason := flaw(said):
        raise BadDataError(reason)
    return said


def _both(things: Sequence[Thing]) -> Both:
    first, second = things
    return Both(first, second)


def _named(row: Mapping[Any, Any], cut: PairCut, side: Side) -> Any:
    """A side by the name of its column or its own; several texts are read as one."""
    names = [name for name in cut.columns.get(side, ()) if name in row] or [side]
    found = [row[name] for name in names if row.get(name) is not None]
    if side == "text" and found:
        return "\n".join(filter(None, (str(text).strip() for text in found)))
    return found[0] if found else None


def _expected(cut: PairCut) -> str:
    """What a row is, in words: a file for each side that is no text."""
    sides = [
        f"{'a text' if side == 'text' else f'a file of {SIDES[side]}'} ({listed(cut.columns.get(side, (side,)))})"
        for side in cut.sides
    ]
    return " and ".join(sides) + (", or a film alone" if cut.of_films else "")
