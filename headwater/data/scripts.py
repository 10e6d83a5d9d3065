"""Which writing systems a text is in, by counting characters: a language guess that needs no model."""

from collections.abc import Iterable

import numpy as np

_RANGES = (  # first and last code point, after the block names of the Unicode standard
    (0x41, 0x5A, "Latin"),
    (0x61, 0x7A, "Latin"),
    (0xAA, 0x24F, "Latin"),
    (0x370, 0x3FF, "Greek"),
    (0x400, 0x52F, "Cyrillic"),
    (0x530, 0x58F, "Armenian"),
    (0x590, 0x5FF, "Hebrew"),
    (0x600, 0x77F, "Arabic"),
    (0x900, 0x97F, "Devanagari"),
    (0x980, 0x9FF, "Bengali"),
    (0xB80, 0xBFF, "Tamil"),
    (0xE00, 0xE7F, "Thai"),
    (0x10A0, 0x10FF, "Georgian"),
    (0x1100, 0x11FF, "Hangul"),
    (0x1E00, 0x1EFF, "Latin"),
    (0x1F00, 0x1FFF, "Greek"),
    (0x3040, 0x30FF, "Kana"),
    (0x3400, 0x9FFF, "Han"),
    (0xAC00, 0xD7AF, "Hangul"),
    (0xF900, 0xFAFF, "Han"),
    (0x20000, 0x3FFFF, "Han"),
)
_NAMES = sorted({name for _, _, name in _RANGES})
_starts = np.array([first for first, _, _ in _RANGES])
_ends = np.array([last for _, last, _ in _RANGES])
_numbers = np.array([_NAMES.index(name) for _, _, name in _RANGES])
_MOST_CHARACTERS = 1 << 20


def script_shares(texts: Iterable[str]) -> dict[str, float]:
    """The share of each script among the letters of the first 1,048,576 characters, the largest first."""
    parts: list[str] = []
    size = 0
    for text in texts:
        parts.append(text[: _MOST_CHARACTERS - size])
        size += len(parts[-1])
        if size >= _MOST_CHARACTERS:
            break
    codes = np.frombuffer("".join(parts).encode("utf-32-le", "replace"), dtype=np.uint32)
    place = np.searchsorted(_starts, codes, side="right") - 1
    letters = _numbers[place[(place >= 0) & (codes <= _ends[place])]]
    counts = np.bincount(letters, minlength=len(_NAMES))
    shares = {name: float(count) / len(letters) for name, count in zip(_NAMES, counts, strict=True) if count}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def language_guess(shares: dict[str, float]) -> str:
    """What these scripts suggest: a language where the script tells it, otherwise the script."""
    if not shares:
        return "no letters"
    if shares.get("Kana", 0.0) > 0.1:
        return "Japanese"
    leading = next(iter(shares))
    return {"Han": "Chinese", "Hangul": "Korean"}.get(leading, f"{leading} script")
