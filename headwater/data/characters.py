"""Six kinds of characters, and the bounded pieces that text is cut into before subwords are learnt.

Every character is of exactly one kind, written as explicit ranges, so that the ``regex`` engine inside
``tokenizer.json`` and Python's ``re`` read the very same pattern and agree on every text.
"""

import re
import unicodedata
from enum import IntEnum
from functools import cache


class Kind(IntEnum):
    """What a character is, as far as the borders of words are concerned."""

    LETTER = 0  # anything not named below: alphabets whose words stand between spaces, combining marks
    SPACE = 1
    DIGIT = 2
    HAN = 3  # one piece each
    UNSPACED = 4  # letters of scripts written without spaces: Thai, Lao, Tibetan, Burmese, Khmer, kana
    SIGN = 5  # punctuation, symbols, emoji, control characters
    CONTINUED = 6  # of tokens only: begins in the middle of a character


_RANGES: dict[Kind, tuple[tuple[int, int], ...]] = {
    Kind.SPACE: (
        (0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
        (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000),
    ),
    Kind.DIGIT: ((0x30, 0x39),),
    Kind.HAN: ((0x2E80, 0x2FDF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
    Kind.UNSPACED: ((0x0E00, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F)),
    Kind.SIGN: (
        (0x00, 0x08), (0x0E, 0x1F), (0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x84), (0x86, 0x9F),
        (0xA1, 0xA9), (0xAB, 0xB4), (0xB6, 0xB9), (0xBB, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7),
        # 200C and 200D join letters inside words of Persian and Indic scripts: letters.
        (0x200B, 0x200B), (0x200E, 0x2027), (0x202A, 0x202E), (0x2030, 0x205E), (0x2060, 0x2BFF),
        (0x3001, 0x303F), (0xFE00, 0xFE1F), (0xFE30, 0xFE6F), (0xFF00, 0xFF0F), (0xFF1A, 0xFF20),
        (0xFF3B, 0xFF40), (0xFF5B, 0xFF65), (0x1F000, 0x1FAFF),
    ),
}  # fmt: skip


def _characters(*kinds: Kind) -> str:
    """The inside of a character class; literal characters, since the two engines share no escape for them."""

    def literal(code: int) -> str:
        # Inside a class, "[", "&&", "^", "-" and "]" mean something to one engine or the other.
        return f"\\{chr(code)}" if 0x21 <= code < 0x7F and not chr(code).isalnum() else chr(code)

    return "".join(f"{literal(first)}-{literal(last)}" for kind in kinds for first, last in _RANGES[kind])


def _pattern() -> str:
    space, digit, han, unspaced, sign = (
        _characters(kind) for kind in (Kind.SPACE, Kind.DIGIT, Kind.HAN, Kind.UNSPACED, Kind.SIGN)
    )
    others = space + digit + han + unspaced + sign
    return "|".join((
        f" ?[^{others}]{{1,24}}",
        f" ?[{digit}]{{1,3}}",
        f" ?[{sign}]{{1,8}}",
        f"[{han}]",
        f"[{unspaced}]{{1,8}}",
        # The last blank before a word belongs to the word, so white space stops in front of it.
        f"[{space}]{{1,16}}?(?= [^{space}{han}{unspaced}])",
        f"[{space}]{{1,16}}",
    ))  # fmt: skip


PIECES = _pattern()
"""The pattern of a piece. Subwords never cross a piece, and a piece is never longer than 25 characters:
learning on a text without a single space stays linear in its length. A Latin word keeps its leading blank
(Radford et al. 2019, section 2.2); a Han character is a piece of its own, so no token straddles two of them
and labels on characters always fall on borders of tokens."""

WITHOUT_BLANKS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese and Japanese characters, as the inside of a character class: where words are counted, each is one."""

HAN_RUN = re.compile(f"([{_characters(Kind.HAN)}]+)")
"""Neighbouring Han characters, as a group: ``split`` gives them at the odd places."""

_KINDS = tuple((re.compile(f"[{_characters(kind)}]"), kind) for kind in _RANGES)
_BORDER = re.compile(
    f"(?<=[^{_characters(Kind.SPACE)}])(?=[{_characters(Kind.HAN)}])"
    f"|(?<=[^{_characters(*_RANGES)}])(?= [^{_characters(*_RANGES)}])"
)


def kind_of(character: str) -> Kind:
    """The kind of one character."""
    return next((kind for pattern, kind in _KINDS if pattern.match(character)), Kind.LETTER)


@cache
def marks() -> str:
    """What joins the letters of a word and is no letter itself, as the inside of a character class.

    The vowel signs of Indic scripts, vowels and doublings of Arabic and Hebrew, joiners: ``\\w`` leaves them out, and
    a word of these scripts falls apart at each of them.
    """
    found = (chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
    return "\u200c\u200d" + "".join(found)


def slices(text: str, size: int) -> list[str]:
    """Cut a text into slices of about ``size`` characters, only where a piece ends whatever stands around it.

    The pieces of the slices, one after another, are the pieces of the text.
    """
    cuts = [0]
    while cuts[-1] + size < len(text) and (border := _BORDER.search(text, cuts[-1] + size)):
        cuts.append(border.start())
    return [text[start:stop] for start, stop in zip(cuts, [*cuts[1:], len(text)], strict=True)]
