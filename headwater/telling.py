"""How a result says itself: as text in a console, and the same in a notebook."""

import html
from collections.abc import Sequence

from rich.cells import cell_len


class Told:
    """A result whose text for people is what Python prints of it too; in a notebook it keeps its columns."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def in_columns(lines: Sequence[Sequence[str]]) -> str:
    """Lines of as many cells each, every column as wide as its widest cell; a Chinese character is two wide."""
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
