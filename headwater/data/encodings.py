"""Which encoding some bytes are in: told by their marks, by what they can be, by the user, or guessed."""

import codecs
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from headwater.data.encoding_guess import decodes, guessed_codec
from headwater.errors import SettingsError

VARIABLE = "HEADWATER_ENCODING"
"""Names the encoding of all that is neither marked nor valid UTF-8, for this process and those that it starts."""
NAMED = "as named"
_SEVEN_BITS = ("iso2022", "hz", "utf-7")
_GUESSED = "guessed"
_WITHOUT_MARK = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""What is named for files without a mark; one that has it says itself which half of a character comes first."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its first half
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_usual = re.compile("[\t\n\r -~\u00a0-\u04ff\u2010-\u2030\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")


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
        found = codecs.lookup(name).name
        codec = _WITHOUT_MARK.get(found, found)
        codecs.getincrementaldecoder(codec)("replace").decode(b"ab\xff\xfe")  # not all codecs are of text
        return codec
    except (LookupError, TypeError, ValueError, AssertionError) as problem:
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
    if codec := _utf16_without_mark(head, guess=named_encoding() is None):
        return Encoding(codec, "distribution of its bytes")
    return None


def of_ascii() -> Encoding:
    """Of bytes that are all ASCII: UTF-8, unless the user names one of the encodings that write everything so."""
    named = named_encoding()
    return named if named and named.codec.startswith(_SEVEN_BITS) else Encoding("utf-8", "only ASCII seen")


def of_sample(sample: bytes, *, named: bool = True) -> Encoding:
    """UTF-8 where most lines with bytes beyond ASCII are; else what the user named, else a guess.

    The guess is that of chardet, among what people's files are in.
    """
    if _is_utf8(sample):
        return Encoding("utf-8", "valid UTF-8")
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    other = [line for line in lines if not _is_utf8(line)]
    if len(other) <= len(lines) / 2:
        return Encoding("utf-8", f"{len(lines) - len(other):,} of {len(lines):,} sampled lines")
    if named and (chosen := named_encoding()):
        return chosen
    codec = guessed_codec(other)
    fitting = sum(decodes(line, codec) for line in other)
    if fitting > len(lines) / 2:
        return Encoding(codec, f"{_GUESSED} from {fitting:,} of {len(lines):,} sampled lines")
    return Encoding("utf-8", f"{len(lines) - len(other):,} of {len(lines):,} sampled lines")


def _utf16_without_mark(head: bytes, *, guess: bool) -> str | None:
    head = head[: len(head) // 2 * 2]
    if len(head) < 4:
        return None
    for codec, high in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        low = head[0::2] if codec == "utf-16-le" else head[1::2]
        if high.count(0) > 0.3 * len(high) and low.count(0) < 0.05 * len(low):
            return codec
    if guess and not _is_utf8(head):
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
