"""Models on other engines: the same weights under the names that the engine knows, and its answers in our words."""

from headwater.interchange.ctranslate2_format import save_ctranslate2
from headwater.interchange.ctranslate2_writing import CompiledPen, Rounding

__all__ = ["CompiledPen", "Rounding", "save_ctranslate2"]
