"""How both sides of a row are read, where a row is a pair: a picture and what is said of it, a sound and a picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, cast

from headwater.data.cutting import Cut, cut_of
from headwater.data.examples import Both
from headwater.data.kinds import SIDES, Side
from headwater.data.pair_items import Cuts
from headwater.data.pair_rows import Pairing, PairSet
from headwater.data.readers.pictures import Pixels
from headwater.errors import SettingsError


@dataclass(frozen=True, slots=True)
class PairCut:
    """What both sides are, how each is cut (a text is not), and the columns in which they stand or are named."""

    sides: tuple[Side, Side]
    cuts: Cuts
    columns: Mapping[Side, tuple[str, ...]] = field(default_factory=dict[Side, tuple[str, ...]])
    remembered: bool = False
    """Whether these are the columns that a model was trained on: a table may name its files in another one."""

    what: ClassVar[str] = "pairs"

    @property
    def pairing(self) -> Pairing:
        """Where rows of such pairs are looked for."""
        return Pairing(self.sides, self.columns, whole=True, remembered=self.remembered)

    @property
    def of_films(self) -> bool:
        """Whether both sides of a row may come from one film."""
        return self.pairing.of_films

    @property
    def text(self) -> tuple[str, ...]:
        """The columns of texts."""
        return self.columns.get("text", ())

    def asking(self, text: Sequence[str]) -> Self:
        """The same where other columns of text are named; SettingsError where neither side is text."""
        if "text" not in self.sides:
            raise SettingsError(
                f"--text {','.join(text)} does not fit: neither of {' and '.join(self.sides)} is text; leave it out"
            )
        return replace(self, columns={**self.columns, "text": tuple(text)})

    def fitted(self, pairs: PairSet, check: Callable[[], None] | None = None) -> Self:
        """Nothing left open: as a few files from all over say; the columns are those that were found."""
        cuts = tuple(cut and cut.fitted(pairs.sources(side), check) for side, cut in enumerate(self.cuts))
        return replace(self, sides=pairs.sides, cuts=cast(Cuts, cuts), columns=pairs.columns)

    def shown(self, pair: Both | None) -> Pixels | None:
        """The first side of a row that can be looked at; None where neither can."""
        things = () if pair is None else (pair.first, pair.second)
        for thing, cut in zip(things, self.cuts, strict=False):
            if cut is not None and not isinstance(thing, str):
                return cut.shown(thing)
        return None

    def told(self) -> str:
        """Both sides of a fitted cut in words."""
        return "; ".join(
            f"{SIDES[side]} in {', '.join(self.columns.get(side, ())) or 'its column'}"
            + ("" if cut is None else f": {cut.told()}")
            for side, cut in zip(self.sides, self.cuts, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        cuts = [None if cut is None else cut.to_dict() for cut in self.cuts]
        return {
            "sides": list(self.sides),
            "cuts": cuts,
            "columns": {side: list(names) for side, names in self.columns.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reverse of ``to_dict``."""
        first, second = (None if cut is None else cut_of(cut) for cut in values["cuts"])
        columns: dict[Side, tuple[str, ...]] = {
            side: tuple(names) for side, names in values["columns"].items()
        }
        return cls(cast(tuple[Side, Side], tuple(values["sides"])), (first, second), columns)


RowCut = Cut | PairCut
"""How rows that are more than text are read."""


def row_cut_of(values: Mapping[str, Any]) -> RowCut:
    """The reverse of ``to_dict`` of either."""
    return PairCut.from_dict(values) if "sides" in values else cut_of(values)
