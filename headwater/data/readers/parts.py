"""Tables that say in a column which part of the data each row belongs to."""

import re
from collections.abc import Iterator, Sequence

from headwater.data.archives import until_damage
from headwater.data.kinds import Split, split_of_word
from headwater.data.readers.table import Row, Table

SPLIT_NAMES = ("split", "part", "subset", "partition", "fold", "set")
"""Columns that may say which part a row belongs to."""
_mentioned = re.compile(rf"(^|[^a-z])({'|'.join(SPLIT_NAMES)})( *[^a-z ]|\s*$)".encode(), re.MULTILINE)
_TOLD_WITH: tuple[Split | None, ...] = ("train", None)


class PartOfTable(Table):
    """The rows that ``column`` counts to one part; those whose cell names none are the part None."""

    def __init__(self, whole: Table, column: str, split: Split | None) -> None:
        self._whole, self._column, self._split = whole, column, split
        self.path = whole.path
        self.columns = tuple(name for name in whole.columns if name != column)
        self.facts = {
            **whole.facts,
            "rows": f'those of which column "{column}" says {split or "neither part"}',
        }
        self.set_apart = column
        self.note = (
            f'part(s) of tables passed over, as their column "{column}" tells (rename it to use all rows)'
        )
        self.all_text = whole.all_text

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """The rows of this part with the cells of these columns, numbered as in the file.

        Rows without cells are told with those to learn from.
        """
        for row in self._whole.rows([*columns, self._column]):
            if row.problem:
                if self._split in _TOLD_WITH:
                    yield row
            elif split_of_word(row.cells[-1] or "") == self._split:
                yield row._replace(cells=row.cells[:-1])


def may_have_parts(head: bytes) -> bool:
    """Whether the first bytes of a table that is text speak of a column of such a name, so that it is worth opening."""
    return _mentioned.search(head.replace(b"\0", b"").lower()) is not None


def parts_in(table: Table) -> tuple[str, set[Split | None]] | None:
    """The column that says which part each row belongs to, and the parts it speaks of; None where there is none.

    Most of its cells name a part, or they name two parts at least: sets have rows without labels beside those of their
    parts ("unsupervised"). The whole column is read: tables are often sorted by it.
    """
    for column in filter(_may_say_split, table.columns):
        cells = [row.cells[0] or "" for row in until_damage(table.rows([column])) if not row.problem]
        splits: set[Split | None] = {split_of_word(cell) for cell in set(cells)}
        if len(splits - {None}) > 1 or _mostly_named(cells):
            return column, splits
    return None


def says_split(name: str, table: Table, sample: Sequence[Row]) -> bool:
    """Whether a column of a table, of which there is a sample, says which part each row belongs to."""
    number = table.columns.index(name)
    return _may_say_split(name) and _mostly_named([row.cells[number] or "" for row in sample])


def _mostly_named(cells: Sequence[str]) -> bool:
    return sum(split_of_word(cell) is not None for cell in cells) > 0.5 * len(cells)


def _may_say_split(name: str) -> bool:
    return name.strip().casefold() in SPLIT_NAMES
