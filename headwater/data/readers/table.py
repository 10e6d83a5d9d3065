"""Tables of any format as rows of texts: columns by name, every row usable or with the reason why not."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Cell = str | None


class Row(NamedTuple):
    """One row of a table, counted from 1 without the header: its cells, or why it has none."""

    number: int
    cells: tuple[Cell, ...]
    problem: str = ""
    detail: str = ""


class Table(ABC):
    """One file of rows and columns.

    ``facts`` say what was understood of the file (delimiter, quoting, header), in the user's words; ``note`` what of it
    is worth saying wherever it is read. ``set_apart`` is a column that says which rows these are. With ``all_text`` it
    is the file that says that every column is text: none has to look like it.
    """

    path: str
    columns: tuple[str, ...]
    facts: dict[str, str]
    note: str = ""
    set_apart: str = ""
    all_text: bool = False

    def places(self, columns: Sequence[str]) -> list[int]:
        """Where these columns stand."""
        place_of = {column: place for place, column in enumerate(self.columns)}  # there may be 100,000
        return [place_of[column] for column in columns]

    @abstractmethod
    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows with the cells of these columns, in this order; opens the file anew each time."""


def distinct_names(header: Sequence[str]) -> tuple[str, ...]:
    """Names that can be told apart: an empty one becomes ``column_3``, a second ``text`` ``text_2``."""
    names: dict[str, None] = {}
    for number, raw in enumerate(header, start=1):
        stem = raw.strip() or f"column_{number}"
        name, copy = stem, 1
        while name in names:
            copy += 1
            name = f"{stem}_{copy}"
        names[name] = None
    return tuple(names)
