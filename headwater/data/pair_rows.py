"""Pairs: two things that belong together, where each of them stands, and what the user says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self, cast

from headwater.data.files import Source
from headwater.data.kinds import SIDES, Modality, Side, Split
from headwater.errors import SettingsError


class Place(NamedTuple):
    """A file, or one of the many things in an array, its rows counted from 1."""

    path: str
    row: int


Ref = Place | str
"""Where a side of a pair is found; of a text, the text itself."""


class PairRow(NamedTuple):
    """Two things that belong together, where it is said, and what else is said of them."""

    first: Ref
    second: Ref
    path: str
    row: int
    split: Split | None
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pairing:
    """What the two sides of pairs are, as far as the user says: ``("image", "text")``, and in which columns.

    ``whole``: a row is one pair, of which several texts are read as one; else each of them makes a pair. The column
    ``label`` is no text.
    """

    sides: tuple[Side, Side] | None = None
    columns: Mapping[Side, tuple[str, ...]] = field(default_factory=dict[Side, tuple[str, ...]])
    whole: bool = False
    label: str | None = None

    @classmethod
    def of(cls, pair: Sequence[str] | None, text: Sequence[str] | None) -> "Pairing":
        """``image,text``, or with columns ``audio=wav,image=row``; ``text`` names columns of texts."""
        columns: dict[Side, tuple[str, ...]] = {} if text is None else {"text": tuple(text)}
        if pair is None:
            return cls(None, columns)
        named = [part.partition("=") for part in pair]
        sides = [side.strip() for side, _, _ in named]
        if len(sides) != 2 or not set(sides) <= set(SIDES) or sides[0] == sides[1]:
            raise SettingsError(
                f"data.pair = {','.join(pair)}; expected two of {', '.join(SIDES)}, as in --pair image,text or "
                "--pair audio=wav,image=row"
            )
        for side, (_, _, column) in zip(sides, named, strict=True):
            if column:
                columns[cast(Side, side)] = (column.strip(),)
        return cls(cast(tuple[Side, Side], tuple(sides)), columns)

    def labelled(self, label: str | None) -> Self:
        """The same where a column is the label."""
        return replace(self, label=label)


@dataclass(frozen=True, slots=True)
class PairSet:
    """The pairs that were found, and the media that they name."""

    sides: tuple[Side, Side]
    rows: list[PairRow]
    media: Mapping[Modality, Sequence[Source]]
    how: str
    columns: Mapping[Side, tuple[str, ...]] = field(default_factory=dict[Side, tuple[str, ...]])
    """Of a table: where each side stands."""

    def sources(self, side: int) -> list[Source]:
        """The files behind one side; none of texts."""
        kind = modality_of_side(self.sides[side])
        if kind == "text":
            return []
        named = {cast(Place, row[side]).path for row in self.rows}
        return [source for source in self.media[kind] if source.path in named]

    def having(self, rows: list[PairRow]) -> "PairSet":
        """Other pairs among the same media."""
        return replace(self, rows=rows)


def modality_of_side(side: Side) -> Modality:
    """What files a side is read from."""
    return "video" if side == "flow" else side
