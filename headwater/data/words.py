"""Which tokens make one word: the units that whole-word masking hides together.

Where words stand between spaces, a word is a piece (``headwater.data.characters``): its tokens up to the next
blank, sign or digit. In scripts without spaces every token is the word that the vocabulary learnt. Chinese
needs no dictionary: two neighbouring Han characters belong together when the corpus holds the pair far more
often than chance, PMI(a, b) = ln(n_ab · n / (n_a · n_b)) ≥ 3 with n_ab ≥ 10 (Church and Hanks 1990,
https://aclanthology.org/J90-1003), and a chain of such pairs is one word.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.data.characters import Kind, kind_of

_LEAST_INFORMATION = 3.0  # nats: twenty times more often than chance
_LEAST_COUNT = 10
_MOST_WORDS = 50_000
_CHARACTERS_A_CHUNK = 1 << 20

Codes = NDArray[np.uint64]  # two characters in one number, the first in the upper half


def _pair_codes(text: str) -> Codes:
    """The neighbouring Han characters of a text."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    # Only the blocks of modern and classical running text: rarer ones never reach the least count.
    han = ((codes >= 0x4E00) & (codes <= 0x9FFF)) | ((codes >= 0x3400) & (codes <= 0x4DBF))
    both = np.flatnonzero(han[1:] & han[:-1])
    return (codes[both].astype(np.uint64) << np.uint64(32)) | codes[both + 1].astype(np.uint64)


class PairCounter:
    """Counts neighbouring Han characters while texts pass by."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._size = 0
        self._pairs = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.int64)

    def add(self, text: str) -> None:
        """Count one text; its last character is no neighbour of the next text's first."""
        self._waiting.append(text)
        self._size += len(text)
        if self._size >= _CHARACTERS_A_CHUNK:
            self._merge()

    def _merge(self) -> None:
        pairs, counts = np.unique(_pair_codes("\n".join(self._waiting)), return_counts=True)
        self._waiting, self._size = [], 0
        together = np.concatenate([self._pairs, pairs])
        self._pairs, place = np.unique(together, return_inverse=True)
        weights = np.concatenate([self._counts, counts]).astype(np.float64)
        self._counts = np.bincount(place, weights, len(self._pairs)).astype(np.int64)

    def words(self) -> tuple[str, ...]:
        """The pairs that belong together, the most frequent first."""
        self._merge()
        if not len(self._pairs):
            return ()
        first, second = self._pairs >> np.uint64(32), self._pairs & np.uint64(0xFFFFFFFF)
        expected = _totals(first, self._counts) * (_totals(second, self._counts) / self._counts.sum())
        cohesive = (self._counts >= _LEAST_COUNT) & (self._counts >= expected * np.exp(_LEAST_INFORMATION))
        chosen = np.flatnonzero(cohesive)
        chosen = chosen[np.argsort(-self._counts[chosen], kind="stable")][:_MOST_WORDS]
        return tuple(chr(int(a)) + chr(int(b)) for a, b in zip(first[chosen], second[chosen], strict=True))


def _totals(characters: Codes, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """For each pair, how often its character stands there in any pair."""
    _, place = np.unique(characters, return_inverse=True)
    return np.asarray(np.bincount(place, counts), np.float64)[place]


def _completed(piece: bytes) -> str:
    """The text of a piece whose last character may lack its last bytes."""
    for filling in (b"", b"\x80", b"\xa0", b"\x80\x80", b"\xa0\x80", b"\x80\x80\x80", b"\xa0\x80\x80"):
        try:
            return (piece + filling).decode()
        except UnicodeDecodeError:
            continue
    return piece.decode(errors="replace")


def _kind_of_piece(piece: bytes) -> Kind:
    if not piece:
        return Kind.SPACE  # a special token; it begins and ends a word by itself
    if 0x80 <= piece[0] < 0xC0:
        return Kind.CONTINUED
    text = _completed(piece)
    return kind_of(text[1]) if len(text) > 1 and text[0] == " " else kind_of(text[0])


def _han_code(piece: bytes) -> int:
    """The code of a piece that is one whole Han character, otherwise 0."""
    text = piece.decode(errors="ignore")
    whole = len(text) == 1 and text.encode() == piece and kind_of(text) is Kind.HAN
    return ord(text) if whole else 0


@dataclass(frozen=True, slots=True)
class WordRules:
    """What each token of a vocabulary says about the borders of words."""

    kinds: NDArray[np.uint8]  # (V,)
    special: NDArray[np.bool_]  # (V,)
    blank: NDArray[np.bool_]  # (V,) a single blank, which begins the word after it
    always: NDArray[np.bool_]  # (V,) begins a word whatever stands before it
    han_codes: NDArray[
        np.uint64
    ]  # (V,) the character of a token that is one whole Han character, otherwise 0
    pairs: Codes  # sorted

    @classmethod
    def of(cls, pieces: Sequence[bytes], han_words: Iterable[str]) -> "WordRules":
        """The rules of a vocabulary whose token i stands for the bytes pieces[i], none for special tokens."""
        kinds = np.array([_kind_of_piece(piece) for piece in pieces], np.uint8)
        special = np.array([not piece for piece in pieces])
        leading = np.array([piece[:1] == b" " for piece in pieces])
        pairs = [(ord(word[0]) << 32) | ord(word[1]) for word in han_words]
        return cls(
            kinds=kinds,
            special=special,
            blank=np.array([piece == b" " for piece in pieces]),
            always=special | leading | np.isin(kinds, [Kind.SPACE, Kind.HAN, Kind.UNSPACED]),
            han_codes=np.array([_han_code(piece) for piece in pieces], np.uint64),
            pairs=np.unique(np.array(pairs, np.uint64)),
        )

    @property
    def starts(self) -> NDArray[np.bool_]:
        """(V,) True when a token begins a word as far as it alone can tell."""
        return self.always | np.isin(self.kinds, [Kind.DIGIT, Kind.SIGN])

    def groups(self, tokens: NDArray[np.integer]) -> NDArray[np.int64]:
        """The number of the word that each token belongs to, counted from 0 along a flat array of tokens.

        A token begins a word when it brings its own blank, when it is white space, a special token or the
        beginning of a character of a script without spaces, or when its kind differs from the kind before
        it ("(hello" is two words). Pieces of a character follow the token that began it, and a Han character
        follows the one before it when the two are a cohesive pair.
        """
        if not len(tokens):
            return np.zeros(0, np.int64)
        kinds = self.kinds[tokens]
        whole = kinds != Kind.CONTINUED
        # A piece of a character is of the kind of the token that began the character.
        kinds = kinds[np.maximum.accumulate(np.where(whole, np.arange(len(tokens)), 0))]
        begins = self.always[tokens] & whole
        begins[1:] |= whole[1:] & (kinds[1:] != kinds[:-1]) & ~self.blank[tokens[:-1]]
        begins[1:] &= ~self._cohesive(tokens)
        begins[1:] |= self.special[tokens[:-1]]  # a window may begin inside a character
        begins[0] = True
        return np.cumsum(begins) - 1

    def _cohesive(self, tokens: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether each token but the first is joined to the one before it: (len(tokens) - 1,)."""
        codes = self.han_codes[tokens]
        if not len(self.pairs):
            return np.zeros(len(tokens) - 1, np.bool_)
        pairs = (codes[:-1] << np.uint64(32)) | codes[1:]
        place = np.minimum(np.searchsorted(self.pairs, pairs), len(self.pairs) - 1)
        return self.pairs[place] == pairs
