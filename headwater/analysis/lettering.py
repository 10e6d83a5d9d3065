"""Texts drawn into pictures: a font that can draw them, and lines as wide as there is room."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import ImageFont

CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Droid Sans Fallback",
)
MOST_LINES = 12
"""Lines of a text in a picture; the last one says that there are more."""
_MORE = "…"


def font_for(texts: Iterable[str], size: int) -> ImageFont.FreeTypeFont | None:
    """A font that has every character of these texts: the one matplotlib carries, or one of the machine; else None."""
    needed = {ord(letter) for text in texts for letter in text if not letter.isspace()} | {ord(_MORE)}
    for path in _candidates():
        if needed <= _characters(path):
            return ImageFont.truetype(path, size)
    return None


def in_lines(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """The text in lines that fit into ``width``: broken at blanks, and within what is longer than a line."""
    lines = [""]
    for piece in re.findall(r"\S+", text):
        joined = f"{lines[-1]} {piece}".lstrip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        lines += [""] if lines[-1] else []
        for letter in piece:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], _MORE]


@cache
def _candidates() -> tuple[str, ...]:
    """Files of fonts, those for Chinese, Japanese and Korean behind the one that is always there."""
    from matplotlib import font_manager, get_data_path

    files = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    always = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return (str(always), *(files[name] for name in CJK_FONTS if name in files))


@cache
def _characters(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(path).get_charmap())
