"""Cells that hold several values."""

import json


def parts_of(cell: str, separator: str) -> list[str]:
    """The values of a cell: those of a JSON list, or what stands between separators."""
    if cell.startswith("[") and cell.endswith("]"):
        try:
            return [str(part) for part in json.loads(cell)]
        except ValueError:
            pass
    return cell.split(separator)
