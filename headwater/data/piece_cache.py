"""Encoding by remembered pieces: each distinct piece is split into subwords once.

Text repeats itself: ten megabytes of English are two million pieces of which fifty thousand differ. Subwords
never cross a piece, so the tokens of a text are the tokens of its pieces, one after another. A Han character is
a piece by itself, so runs of them are looked up as arrays of characters, without a Python object for each.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from headwater.data.characters import HAN_RUN, PIECES, slices

_MOST_PIECES = 1_000_000  # about 150 MB of memory
_CHARACTERS_A_CHUNK = 1 << 19
_SHORT = 3  # characters between two Han characters that are remembered as they are: mostly one sign
_HAN_CODES = 0x40000

Integers = NDArray[np.int64]
Tokens = NDArray[np.uint16 | np.uint32]
EncodePieces = Callable[[Sequence[str]], list[list[int]]]


class _Numbers(dict[str, int]):
    """Numbers pieces in the order in which they are first met."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []

    def __missing__(self, piece: str) -> int:
        number = self[piece] = len(self)
        self.new.append(piece)
        return number


class PieceCache:
    """Splits texts into pieces, looks up the tokens of each piece, and asks for those it has not met."""

    def __init__(self, encode: EncodePieces, dtype: type[np.uint16] | type[np.uint32]) -> None:
        self._encode = encode
        self._dtype = dtype
        self._find = re.compile(PIECES).findall
        self._forget()

    def _forget(self) -> None:
        self._numbers = _Numbers()
        self._tokens = np.zeros(0, self._dtype)
        self._offsets = np.zeros(1, np.int64)
        self._han_numbers = np.full(_HAN_CODES, -1, np.int32)

    def __call__(self, texts: Sequence[str]) -> tuple[Tokens, Integers]:
        """The tokens of all texts one after another, and how many belong to each."""
        parts = [slices(text, _CHARACTERS_A_CHUNK) for text in texts]
        encoded = [self._encode_chunk(chunk) for chunk in _chunks(chain.from_iterable(parts))]
        tokens = np.concatenate([np.zeros(0, self._dtype), *(tokens for tokens, _ in encoded)])
        part_lengths = np.concatenate([np.zeros(0, np.int64), *(lengths for _, lengths in encoded)])
        lengths = np.zeros(len(texts), np.int64)
        np.add.at(lengths, np.repeat(np.arange(len(texts)), list(map(len, parts))), part_lengths)
        return tokens, lengths

    def _encode_chunk(self, parts: list[str]) -> tuple[Tokens, Integers]:
        """The tokens of the parts one after another, and how many belong to each."""
        if len(self._numbers) > _MOST_PIECES:
            self._forget()
        numbers, piece_counts = self._numbered(parts)
        if self._numbers.new:
            self._learn(self._numbers.new)
            self._numbers.new = []
        starts = self._offsets[numbers]
        lengths = self._offsets[numbers + 1] - starts
        ends = np.cumsum(lengths)
        place = np.repeat(starts - (ends - lengths), lengths) + np.arange(lengths.sum())
        borders = np.concatenate([[0], np.cumsum(piece_counts)])
        return self._tokens[place], np.diff(np.concatenate([[0], ends])[borders])

    def _numbered(self, parts: list[str]) -> tuple[Integers, Integers]:
        """The numbers of the pieces of all parts one after another, and how many pieces each part has."""
        pieces: list[str] = []
        counts: list[int] = []  # alternating: pieces between Han characters, Han characters
        runs: list[str] = []
        borders = [0]
        for part in parts:
            segments = [part] if part.isascii() else HAN_RUN.split(part)
            segments.append("")  # as many runs of Han characters, at odd places, as segments between them
            for between, run in zip(segments[::2], segments[1::2], strict=True):
                before = len(pieces)
                if len(between) > _SHORT:
                    pieces += self._find(between)
                elif between:
                    pieces.append(between)
                counts += (len(pieces) - before, len(run))
            runs += segments[1::2]
            borders.append(len(counts))
        han = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        numbers = np.empty(len(han), np.int64)
        numbers[han] = self._numbers_of_han("".join(runs))
        numbers[~han] = np.fromiter(map(self._numbers.__getitem__, pieces), np.int64, len(pieces))
        return numbers, np.diff(np.concatenate([[0], np.cumsum(counts)])[borders])

    def _numbers_of_han(self, characters: str) -> NDArray[np.int32]:
        codes = np.frombuffer(characters.encode("utf-32-le"), np.uint32)
        for code in np.unique(codes[self._han_numbers[codes] < 0]).tolist():
            self._han_numbers[code] = self._numbers[chr(code)]
        return self._han_numbers[codes]

    def _learn(self, pieces: list[str]) -> None:
        encoded = self._encode(pieces)
        tokens = np.fromiter(chain.from_iterable(encoded), self._dtype)
        ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
        self._tokens = np.concatenate([self._tokens, tokens])
        self._offsets = np.concatenate([self._offsets, self._offsets[-1] + ends])


def _chunks(parts: Iterable[str]) -> Iterator[list[str]]:
    """Parts in groups of some hundred thousand characters: what is held in memory stays bounded."""
    chunk: list[str] = []
    size = 0
    for part in parts:
        chunk.append(part)
        size += len(part)
        if size >= _CHARACTERS_A_CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
