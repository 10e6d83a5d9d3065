"""Pairs that a finished run is asked about: both sides of a row as Python, a line or a table names them."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headwater.data.decoding import flaw
from headwater.data.examples import Both, Example, Thing
from headwater.data.kinds import SIDES, Side
from headwater.data.pair_cut import PairCut
from headwater.data.problems import Problem
from headwater.data.readers.columns import listed
from headwater.data.readers.json_rows import as_cell
from headwater.data.readers.media import digest_of
from headwater.data.readers.pictures import Pixels
from headwater.errors import BadDataError, UsageError
from headwater.run.named_medium import picture_of

PAIR = 2


def pair_of(row: object, cut: PairCut, array: Callable[[Any, int], Pixels]) -> Both:
    """The pair that Python asks about: two things in the order of the sides, or a mapping of sides or columns.

    A picture is a file or an ``array`` of the side of that number. Raises UsageError for anything else, BadDataError
    for a file that cannot be read.
    """
    if isinstance(row, Mapping):
        row = [_named(row, cut, side) for side in cut.sides]
    if (
        not isinstance(row, Sequence)
        or isinstance(row, str)
        or len(row) != PAIR
        or any(value is None for value in row)
    ):
        raise UsageError(f"found the row {row!r}; expected {_expected(cut)}")
    things = [
        str(value)
        if one is None
        else picture_of(str(value), one)
        if isinstance(value, str) or hasattr(value, "__fspath__")
        else array(value, place)
        for place, (value, one) in enumerate(zip(row, cut.cuts, strict=True))
    ]
    return _both(things)


def pair_in_line(line: str, number: int, cut: PairCut) -> Example | Problem:
    """The pair of a line of standard input: JSON by sides or columns, or both with a tab between them."""

    def unusable(reason: str, detail: str = "") -> Problem:
        return Problem("standard input", number, reason, detail)

    if line.startswith("{"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as problem:
            return unusable("invalid JSON", str(problem))
        cells = [as_cell(_named(value, cut, side)) for side in cut.sides]
    else:
        cells = line.split("\t")
    if len(cells) != PAIR or not all(cells):
        return unusable("no pair", f"expected {_expected(cut)}")
    things: list[Thing] = []
    for cell, one in zip(cells, cut.cuts, strict=True):
        text = (cell or "").strip()
        if one is None and (reason := flaw(text)):
            return unusable(reason)
        try:
            things.append(text if one is None else picture_of(text, one))
        except BadDataError as problem:
            return unusable(f"no {(one or cut).what.removesuffix('s')}", str(problem))
    texts = tuple(thing for thing in things if isinstance(thing, str))
    return Example(texts, None, "standard input", number, both=_both(things))


def _both(things: Sequence[Thing]) -> Both:
    first, second = things
    return Both(first, second, tuple(digest_of(thing) for thing in things if not isinstance(thing, str)))


def _named(row: Mapping[Any, Any], cut: PairCut, side: Side) -> Any:
    """A side by the name of its column or its own; several texts are read as one."""
    names = [name for name in cut.columns.get(side, ()) if name in row] or [side]
    found = [row[name] for name in names if row.get(name) is not None]
    if side == "text" and found:
        return "\n".join(map(str, found))
    return found[0] if found else None


def _expected(cut: PairCut) -> str:
    """What a row is, in words: a file for each side that is no text."""
    sides = [
        f"{'a text' if side == 'text' else f'a file of {SIDES[side]}'} ({listed(cut.columns.get(side, (side,)))})"
        for side in cut.sides
    ]
    return " and ".join(sides)
