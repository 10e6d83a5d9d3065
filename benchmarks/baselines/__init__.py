"""What needs no model: the numbers that stand beside ours in docs/tasks.md, each from one small program.

Paths are relative to ``HEADWATER_DATA``, the folder of the data sets.
"""

import os
from pathlib import Path


def data_file(name: str) -> Path:
    """A file of the data sets, or a path as it stands."""
    return Path(os.environ.get("HEADWATER_DATA", ".")) / name
