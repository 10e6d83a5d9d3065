"""Which of the encodings that people used before UTF-8 some lines are most likely in."""

import codecs
import re
import unicodedata
from collections.abc import Sequence

from headwater.data.characters import marks

UTF8 = "utf-8"
_WESTERN = "cp1252"
_LEGACY = (
    *("gb18030", "big5", "cp932", "euc-jp", "cp949", "johab", "koi8-r", "koi8-u", "cp866", "cp874"),
    *(f"cp{number}" for number in range(1250, 1259)),
    *(f"iso8859-{number}" for number in (2, 5, 6, 7, 8, 15)),
)
"""What people's files are in besides UTF-8; a guesser that knows all is wrong more often."""
_MOST_GUESSED_FROM = 200_000
_CERTAIN = 0.1
"""Of chardet's own measure: from here on it is believed."""
_LEAST_CERTAIN = 0.02
"""Below, as damaged UTF-8 has it, it is not; between the two Western letters are more likely than it, if they are."""
_FEWEST_PAIRS = 10
_FEWEST_LETTERS = 8
_WESTERN_LETTERS = frozenset("ßàâãäåæçèéêëìíîïñòóôõöøùúûüœáªº")
_LATIN = _WESTERN_LETTERS | frozenset("ýąćęłńśźżčďěňřšťůžőűășşțţğıāēīūļķģņėįųđĺŕľ")
_QUOTES = frozenset("’‘‚‛“”„«»–—…·‹›´`ʼ\u00a0\u00ad")
_two_bytes = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_two_high_bytes = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_alphabet = re.compile("[\u0370-\u06ff]+")
_beside_latin = re.compile("[A-Za-z][\u0370-\u06ff]|[\u0370-\u06ff][A-Za-z]")


def guessed_codec(lines: Sequence[bytes]) -> str:
    """The codec that these lines, none of them UTF-8, are most likely in; "utf-8" where none is likely.

    What chardet believes, where the text that comes of it is one: no control characters, no letters that its language
    does not have, no word of two alphabets. Few accents among plain letters tell it little; they are Western where
    they make Western words.
    """
    import chardet

    sample = b"\n".join(lines)[:_MOST_GUESSED_FROM]
    found = chardet.detect(sample, include_encodings=_LEGACY)
    confidence = found["confidence"] if found["encoding"] else 0.0
    codec = codecs.lookup(found["encoding"]).name if found["encoding"] else UTF8
    likely = confidence >= _LEAST_CERTAIN and _is_text(sample.decode(codec, "ignore"), _LATIN)
    if likely and confidence >= _CERTAIN:
        return codec
    if _is_text(sample.decode(_WESTERN, "replace"), _WESTERN_LETTERS, share=0.0):
        return _WESTERN
    if likely:
        return codec
    # Lines that are damaged here and there are nothing to a guesser.
    chinese = [line for line in lines if decodes(line, "gb18030")]
    return "gb18030" if _has_common_characters(b"\n".join(chinese)) else UTF8


def decodes(line: bytes, codec: str) -> bool:
    """Whether these bytes are text in this encoding."""
    try:
        line.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _is_text(text: str, letters: frozenset[str], share: float = 0.1) -> bool:
    """Whether no more than a ``share`` of the characters beyond ASCII are odd: damage decodes to anything."""
    text = f" {text} "
    foreign = [place for place, character in enumerate(text) if not character.isascii()]
    odd = sum(_is_odd(text[place - 1 : place + 2], letters) for place in foreign)
    return odd <= share * len(foreign) and not _mixes_alphabets(text)


def _is_odd(around: str, letters: frozenset[str]) -> bool:
    """Of a character and its neighbours: no letter of these languages, a capital within a word, a sign within one."""
    before, character, after = around
    if character.isupper() and before.islower():
        return True
    if unicodedata.category(character) in ("Cc", "Cn", "Co") or character == "\ufffd":
        return True
    if "\u00aa" <= character <= "\u024f" and character.isalpha():
        # UTF-8 that was read as Western once, or is damaged: Ã and a sign.
        twice = character in "ÃÂ" and not after.isascii() and not after.isalpha()
        return character.lower() not in letters or twice
    joins = character.isalpha() or character in _QUOTES or character in marks()
    return not joins and before.isalpha() and after.isalpha()


def _mixes_alphabets(text: str) -> bool:
    """Greek, Cyrillic, Hebrew or Arabic letters that are few, stand alone, or are in one word with Latin ones."""
    words = _alphabet.findall(text)
    letters = sum(map(len, words))
    whole = sum(len(word) for word in words if len(word) > 2)
    return (
        0 < letters < _FEWEST_LETTERS
        or whole < 0.5 * letters
        or len(_beside_latin.findall(text)) > 0.1 * letters
    )


def _has_common_characters(lines: bytes) -> bool:
    """Mostly the common characters of GB18030, whose two bytes are both high."""
    pairs = _two_bytes.findall(lines)
    common = sum(_two_high_bytes.match(pair) is not None for pair in pairs)
    return len(pairs) >= _FEWEST_PAIRS and common > 0.8 * len(pairs)
