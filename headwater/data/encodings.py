"""Which encoding some bytes are in: told by their marks, by what they can be, by the user, or guessed."""

import codecs
import os
import re
import unicodedata
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from headwater.errors import SettingsError

VARIABLE = "HEADWATER_ENCODING"
"""Names the encoding of all that is neither marked nor valid UTF-8, for this process and those that it starts."""
NAMED = "as named"
_GUESSED = "guessed"
_LEGACY = (
    *("gb18030", "big5", "cp932", "euc-jp", "cp949", "johab", "koi8-r", "koi8-u", "cp866"),
    *(f"cp{number}" for number in range(1250, 1259)),
    *(f"iso8859-{number}" for number in (2, 5, 7, 8, 15)),
)
"""What people's files are in besides UTF-8; a guesser that knows all is wrong more often."""
_MOST_GUESSED_FROM = 200_000
_LATIN = frozenset("ßàáâãäåæçèéêëìíîïñòóôõöøùúûüýąćęłńśźżčďěňřšťůžőűăâîșşțţğıāēīūļķģņąėįųœđ")
_LEAST_CERTAIN = 0.05
"""Of chardet's own measure: one line of a known language has 0.07 to 1, damaged UTF-8 and lone accents 0.02."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its first half
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_usual = re.compile("[\t\n\r -~\u00a0-\u04ff\u2010-\u2030\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")
_two_bytes = re.compile(rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_two_high_bytes = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")


class Encoding(NamedTuple):
    """A codec and what spoke for it."""

    codec: str
    evidence: str

    @property
    def note(self) -> str:
        """What is worth saying wherever such a file is read; "" where it says so itself."""
        if self.evidence.startswith(_GUESSED):
            return f"file(s) read as {self.codec} ({_GUESSED}; name another encoding with --encoding, or {VARIABLE})"
        return ""


def codec_of(name: str) -> str:
    """The name by which Python knows an encoding; SettingsError where there is none."""
    try:
        return codecs.lookup(name).name
    except LookupError as problem:
        raise SettingsError(
            f"there is no encoding {name}; expected one like utf-8, gb18030, big5, shift_jis, euc-kr, cp1252 or cp1251"
        ) from problem


def named_encoding() -> Encoding | None:
    """The encoding that the user named; SettingsError for one that does not exist."""
    name = os.environ.get(VARIABLE)
    return Encoding(codec_of(name), NAMED) if name else None


@contextmanager
def encoding_named(name: str | None) -> Generator[None]:
    """Read as this encoding says what is not marked and not UTF-8; without a name nothing changes."""
    before = os.environ.get(VARIABLE)
    if name:
        os.environ[VARIABLE] = codec_of(name)
    try:
        yield
    finally:
        if name:
            os.environ.pop(VARIABLE)
            os.environ |= {} if before is None else {VARIABLE: before}


def marked_encoding(head: bytes) -> Encoding | None:
    """What the first bytes of a file tell: a byte order mark, or every other byte zero."""
    for mark, codec in _BOMS:
        if head.startswith(mark):
            return Encoding(codec, "byte order mark")
    if named_encoding() is None and (codec := _utf16_without_mark(head)):
        return Encoding(codec, "distribution of its bytes")
    return None


def of_sample(sample: bytes) -> Encoding:
    """UTF-8 where most lines with bytes beyond ASCII are; else what the user named, else a guess.

    The guess is that of chardet, among what people's files are in.
    """
    if _is_utf8(sample):
        return Encoding("utf-8", "valid UTF-8")
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    other = [line for line in lines if not _is_utf8(line)]
    if len(other) <= len(lines) / 2:
        return Encoding("utf-8", f"{len(lines) - len(other):,} of {len(lines):,} sampled lines")
    if named := named_encoding():
        return named
    codec = _guessed(other)
    fitting = sum(_decodes(line, codec) for line in other)
    if fitting > len(lines) / 2:
        return Encoding(codec, f"{_GUESSED} from {fitting:,} of {len(lines):,} sampled lines")
    return Encoding("utf-8", f"{len(lines) - len(other):,} of {len(lines):,} sampled lines")


def _guessed(lines: Sequence[bytes]) -> str:
    """What these lines most likely are in; "utf-8" where nothing is likely."""
    import chardet

    found = chardet.detect(b"\n".join(lines)[:_MOST_GUESSED_FROM], include_encodings=_LEGACY)
    if found["encoding"] and found["confidence"] >= _LEAST_CERTAIN:
        codec = codecs.lookup(found["encoding"]).name
        if _is_plausible(b"\n".join(lines).decode(codec, "ignore")):
            return codec
    # Lines that are damaged here and there are nothing to a guesser.
    chinese = [line for line in lines if _decodes(line, "gb18030")]
    return "gb18030" if _has_common_characters(b"\n".join(chinese)) else "utf-8"


def _is_plausible(text: str) -> bool:
    """Hardly a control character, and of Latin letters those of large languages: damage decodes to anything."""
    foreign = [character for character in text[:_MOST_GUESSED_FROM] if not character.isascii()]
    odd = sum(
        unicodedata.category(character) == "Cc"
        or ("\u00c0" <= character <= "\u024f" and character.lower() not in _LATIN)
        for character in foreign
    )
    return odd <= 0.1 * len(foreign)


def _utf16_without_mark(head: bytes) -> str | None:
    head = head[: len(head) // 2 * 2]
    if len(head) < 4:
        return None
    for codec, high in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        low = head[0::2] if codec == "utf-16-le" else head[1::2]
        if high.count(0) > 0.3 * len(high) and low.count(0) < 0.05 * len(low):
            return codec
    if not _is_utf8(head):
        for codec in ("utf-16-le", "utf-16-be"):
            text = head.decode(codec, "replace")
            if len(_usual.findall(text)) > 0.9 * len(text):
                return codec
    return None


def _is_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # not final: the sample may cut a character
    except UnicodeDecodeError:
        return False
    return True


def _decodes(line: bytes, codec: str) -> bool:
    try:
        line.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _has_common_characters(lines: bytes) -> bool:
    """Mostly the common characters of GB18030, whose two bytes are both high.

    Without this test a French text in Windows-1252 would pass as rare Chinese characters.
    """
    pairs = _two_bytes.findall(lines)
    common = sum(_two_high_bytes.match(pair) is not None for pair in pairs)
    return bool(pairs) and common > 0.8 * len(pairs)
