"""CTranslate2, where it is installed."""

import importlib
from typing import Any

from headwater.errors import SettingsError


def ctranslate2_library(part: str = "") -> Any:
    """The library, or a part of it by its dotted name; SettingsError where it is not installed."""
    try:
        return importlib.import_module(f"ctranslate2{part}")
    except ImportError as problem:
        raise SettingsError(
            "engine = ctranslate2, which is not installed; install it with: pip install headwater[ctranslate2], "
            "or leave --engine out"
        ) from problem
