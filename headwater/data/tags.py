"""Tags of words: which scheme they are written in, which spans they name, and the same in BIO."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, Self

SchemeName = Literal["BIO", "IOB1", "BIOES", "BILOU", "BMES", "IO", "one a word"]
OUTSIDE = "O"
UNNAMED = "SPAN"
"""The kind of spans whose tags are a letter and no more."""
_GOES_ON, _ENDS, _ALONE = "IM", "EL", "SUW"
_OTHERS: tuple[tuple[str, SchemeName], ...] = (("M", "BMES"), ("LU", "BILOU"), ("ESW", "BIOES"))
"""Letters that BIO does not have, and the scheme that has them."""
_tag = re.compile(f"([B{_GOES_ON}{_ENDS}{_ALONE}])[-_](.+)", re.IGNORECASE)
_apart = re.compile(r"[|/,;+&\s]+")


class Span(NamedTuple):
    """Words ``start`` … ``stop`` − 1 of a sentence."""

    kind: str
    start: int
    stop: int


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans that tags of a letter and a kind name, in BIO or a scheme with more letters.

    A tag that goes on or ends where no span of its kind is open begins one, as in conlleval.
    """
    found: list[Span] = []
    kind, start = "", 0  # of the span that is open
    for place, (letter, name) in enumerate([*map(_parts, tags), ("", "")]):
        if kind and not (letter in _GOES_ON + _ENDS and name == kind):
            found.append(Span(kind, start, place))
            kind = ""
        if name and not kind:
            kind, start = name, place
        if kind and letter in _ENDS + _ALONE:
            found.append(Span(kind, start, place + 1))
            kind = ""
    return found


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the tags of a file name spans.

    ``IO``: all words of a span alike; ``one a word``: no spans, as parts of speech. ``of`` is what a tag is made of.
    """

    name: SchemeName
    of: Literal["letter and kind", "letter", "kind"]
    kinds: frozenset[str]

    @classmethod
    def seen_in(cls, sentences: Sequence[Sequence[str]]) -> Self:
        """By which tags there are, and which follow which.

        Letters tell the scheme. Without a B, or where a B stands only between two spans of one kind, I begins a span
        (IO, IOB1). Kinds alone beside O are IO; kinds alone without O say nothing of spans.
        """
        tags = {tag for sentence in sentences for tag in sentence if not _names_several(tag)}
        inside = {tag for tag in tags if tag.upper() != OUTSIDE}
        letters = {_parts(tag)[0] for tag in inside}
        if inside and "" not in letters:
            kinds = frozenset(_parts(tag)[1] for tag in inside)
            return cls(_by_letters(letters, sentences), "letter and kind", kinds)
        alone = {tag.upper() for tag in inside}
        if ("B" in alone and alone <= set("B" + _GOES_ON + _ENDS + _ALONE)) or alone == {"I"}:
            written = [_with_kind(sentence) for sentence in sentences]
            return cls(_by_letters(alone, written), "letter", frozenset((UNNAMED,)))
        return cls("one a word" if inside == tags else "IO", "kind", frozenset(inside))

    def overlap(self, tag: str) -> bool:
        """Whether a tag names several spans at once: ``B-PER|B-LOC``, or kinds that stand alone elsewhere."""
        if self.name == "one a word":
            return False
        kinds = {_parts(part)[1] or part for part in _apart.split(tag)}
        return _names_several(tag) or (len(kinds) > 1 and kinds <= self.kinds)

    def in_bio(self, tags: Sequence[str]) -> list[str]:
        """The same spans in BIO; tags that name no spans stay as they are."""
        if self.name == "one a word":
            return list(tags)
        if self.of == "letter":
            tags = _with_kind(tags)
        elif self.of == "kind":
            tags = [OUTSIDE if tag.upper() == OUTSIDE else f"I-{tag}" for tag in tags]
        written = [OUTSIDE] * len(tags)
        for kind, start, stop in spans_of(tags):
            written[start:stop] = [f"B-{kind}", *[f"I-{kind}"] * (stop - start - 1)]
        return written


def name_spans(values: Collection[str]) -> bool:
    """Whether these are tags of a letter and a kind, and O: nearly all of them, as some may be broken."""
    alike = sum(bool(_parts(value)[1]) or value == OUTSIDE or _names_several(value) for value in values)
    return alike > 0.9 * len(values) and any(_parts(value)[1] for value in values)


@lru_cache(maxsize=4096)
def _parts(tag: str) -> tuple[str, str]:
    """The letter of a tag and its kind; of O, and of what is no such tag, neither."""
    match = _tag.fullmatch(tag)
    return (match[1].upper(), match[2]) if match else ("", "")


@lru_cache(maxsize=4096)
def _names_several(tag: str) -> bool:
    """Several tags in the place of one, or a list of them."""
    parts = [part.strip("'\"") for part in _apart.split(tag.strip("[]()"))]
    return len(parts) > 1 and all(part.upper() == OUTSIDE or _parts(part)[1] for part in parts)


def _with_kind(tags: Sequence[str]) -> list[str]:
    return [tag if tag.upper() == OUTSIDE else f"{tag}-{UNNAMED}" for tag in tags]


def _by_letters(letters: set[str], sentences: Sequence[Sequence[str]]) -> SchemeName:
    for theirs, name in _OTHERS:
        if letters & set(theirs):
            return name
    if "B" not in letters:
        return "IO"
    return "IOB1" if _begin_with_i(sentences) else "BIO"


def _begin_with_i(sentences: Sequence[Sequence[str]]) -> bool:
    """Whether spans begin with I, and with B only behind another one of their kind."""
    begun = False
    for tags in sentences:
        before = ""
        for letter, kind in map(_parts, tags):
            if letter == "B" and kind != before:
                return False
            begun = begun or (letter == "I" and kind != before)
            before = kind
    return begun
