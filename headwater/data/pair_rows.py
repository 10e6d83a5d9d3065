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
    ``label`` is no text. Where columns are ``remembered``, a table may name its files in another one.
    """

    sides: tuple[Side, Side] | None = None
    columns: Mapping[Side, tuple[str, ...]] = field(default_factory=dict[Side, tuple[str, ...]])
    whole: bool = False
    label: str | None = None
    remembered: bool = False

    @classmethod
    def of(cls, pair: Sequence[str] | None, text: Sequence[str] | None) -> "Pairing":
        """``image,text``, or with columns ``audio=wav,image=row``; ``text`` names columns of texts."""
        named = [part.partition("=") for part in pair or ()]
        sides = [side.strip() for side, _, _ in named]
        if pair is not None and (len(sides) != 2 or not set(sides) <= set(SIDES) or sides[0] == sides[1]):
            raise SettingsError(
                f"data.pair = {','.join(pair)}; expected two of {', '.join(SIDES)}, as in --pair image,text or "
                "--pair audio=wav,image=row"
            )
        columns: dict[Side, tuple[str, ...]] = {
            cast(Side, side): (column.strip(),)
            for side, (_, _, column) in zip(sides, named, strict=True)
            if column
        }
        if {"video", "flow"} <= {*columns} and columns["video"] != columns["flow"]:
            raise SettingsError(
                f"data.pair = {','.join(pair or ())}; a clip is paired with its own movement: name one column"
            )
        if text is not None and sides and "text" not in sides:
            raise SettingsError(
                f"--text {','.join(text)} does not fit: neither of {' and '.join(sides)} is text; leave it out"
            )
        if text is not None and columns.get("text", tuple(text)) != tuple(text):
            raise SettingsError(
                f"--text {','.join(text)} and --pair {','.join(pair or ())} name different texts; leave one out"
            )
        columns |= {} if text is None else {"text": tuple(text)}
        return cls(None if pair is None else cast(tuple[Side, Side], tuple(sides)), columns)

    @property
    def of_films(self) -> bool:
        """Whether clips and recordings are asked for: both sides may come from one film, seen and heard."""
        return set(self.sides or ()) == {"audio", "video"}

    def of_modality(self, kind: Modality) -> tuple[str, ...] | None:
        """The columns that were named for what is read from such files: of movement, those of clips."""
        return next((names for side, names in self.columns.items() if modality_of_side(side) == kind), None)

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
