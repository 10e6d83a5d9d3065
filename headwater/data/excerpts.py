"""Texts of any length as windows that a model can read, each with its place in the text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.data.piece_cache import Tokens
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import FRAME, cut

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Excerpts:
    """The windows of some texts, those of one text behind those of the one before; every text has at least one.

    A text that does not fit is cut as documents are for pre-training (``headwater.data.windows.cut``).
    """

    texts: Integers  # (W,) the text that each window is of
    tokens: list[Tokens]  # of each window, without [CLS] and [SEP]
    spans: Integers  # (W, 2) from which character of its text to which

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Tokenizer, length: int) -> "Excerpts":
        """Cut texts into windows of at most ``length`` tokens, [CLS] and [SEP] included."""
        encoded = tokenizer.encode_batch(texts)
        sizes = np.fromiter((max(1, len(tokens)) for tokens in encoded), np.int64, len(encoded))
        owners, starts, stops = cut(sizes, max(1, length - FRAME))
        windows = [encoded[text][start:stop] for text, start, stop in zip(owners, starts, stops, strict=True)]
        spans = np.stack([np.zeros(len(owners), np.int64), _lengths(texts)[owners]], axis=1)
        first = _first(owners, len(texts))
        for text in np.flatnonzero(np.diff(first) > 1).tolist():
            own = slice(first[text], first[text + 1])
            places = tokenizer.places(texts[text], encoded[text])
            spans[own, 0], spans[own, 1] = places[starts[own], 0], places[stops[own] - 1, 1]
        return cls(owners, windows, spans)

    @property
    def first(self) -> Integers:
        """The first window of each text, and how many windows there are: (texts + 1,)."""
        return _first(self.texts, int(self.texts[-1]) + 1 if len(self.texts) else 0)

    def __len__(self) -> int:
        return len(self.tokens)


def _lengths(texts: Sequence[str]) -> Integers:
    return np.fromiter(map(len, texts), np.int64, len(texts))


def _first(owners: Integers, count: int) -> Integers:
    return np.searchsorted(owners, np.arange(count + 1))
