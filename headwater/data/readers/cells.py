"""Cells that hold several values."""

import json
import math


def parts_of(cell: str, separator: str) -> list[str]:
    """The values of a cell: those of a JSON list, or what stands between separators."""
    if cell.startswith("[") and cell.endswith("]"):
        try:
            return [str(part) for part in json.loads(cell)]
        except ValueError:
            pass
    return cell.split(separator)


def numbers_in(cell: str) -> tuple[float, ...] | None:
    """The numbers of a cell: one, a JSON list of them, or several with | or ; between them; None where one is none."""
    try:
        found = tuple(float(part) for part in parts_of(cell, "|" if "|" in cell else ";"))
    except ValueError:
        return None
    return found if found and all(map(math.isfinite, found)) else None
