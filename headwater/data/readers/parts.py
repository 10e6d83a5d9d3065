"""Tables that say in a column which part of the data each row belongs to."""

from collections.abc import Iterator, Sequence
from itertools import islice

from headwater.data.archives import until_damage
from headwater.data.kinds import Split, split_of_word
from headwater.data.readers.table import Row, Table

SPLIT_NAMES = ("split", "part", "subset", "partition", "fold", "set")
"""Columns that may say which part a row belongs to."""
_LOOKED_AT = 200
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
        self.note = f'file(s) with the part of each row in column "{column}" (rename it to use all rows)'
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


def parts_in(table: Table) -> tuple[str, set[Split | None]] | None:
    """The column that says which part each row belongs to, and the parts it speaks of; None where there is none."""
    if not any(map(_may_say_split, table.columns)):
        return None
    sample = [row for row in islice(until_damage(table.rows(table.columns)), _LOOKED_AT) if not row.problem]
    column = next((name for name in table.columns if says_split(name, table, sample)), None)
    if column is None:
        return None
    cells = (row.cells[0] for row in until_damage(table.rows([column])) if not row.problem)
    return column, {split_of_word(cell or "") for cell in cells}


def says_split(name: str, table: Table, sample: Sequence[Row]) -> bool:
    """Whether a column of a table, of which there is a sample, says which part each row belongs to.

    Most of its cells do: sets have rows without labels beside those of their parts ("unsupervised").
    """
    if not _may_say_split(name):
        return False
    number = table.columns.index(name)
    named = sum(split_of_word(row.cells[number] or "") is not None for row in sample)
    return named > 0.5 * len(sample)


def _may_say_split(name: str) -> bool:
    return name.strip().casefold() in SPLIT_NAMES
