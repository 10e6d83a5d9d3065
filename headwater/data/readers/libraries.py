"""Libraries that not every installation has."""

import importlib
from typing import Any

from headwater.errors import UsageError


def media_library(name: str) -> Any:
    """A library that reads recordings or clips; UsageError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as problem:
        raise UsageError(
            f"recordings and clips are read with {name}, which is not installed; install it with: pip install "
            "headwater[media]"
        ) from problem
