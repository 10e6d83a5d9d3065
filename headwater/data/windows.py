"""Documents cut into windows: the items that one step of pre-training reads."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headwater.data.assembly import runs
from headwater.data.piece_cache import Tokens
from headwater.data.store import Store
from headwater.data.tokenizer import Tokenizer
from headwater.errors import UsageError
from headwater.randomness import permute

Integers = NDArray[np.int64]
FRAME = 2  # [CLS] and [SEP]
SHORTEST_WINDOW = 8


class Items(Protocol):
    """Numbered sequences, and the order in which an epoch visits them."""

    length: int

    def __len__(self) -> int: ...
    @property
    def lengths(self) -> Integers:
        """How many tokens each item has, [CLS] and [SEP] included."""
        ...

    def order(self, ranks: Integers, seed: int, epoch: int) -> Integers:
        """The items that stand at these places of an epoch."""
        ...

    def tokens(self, items: Integers) -> Tokens:
        """The tokens of some items one after another, without [CLS] and [SEP]."""
        ...

    def following(self, items: Integers) -> Integers:
        """The token that comes after each item in its document, -1 where the document ends with it."""
        ...

    def document(self, item: int) -> int:
        """The number of the document that an item is of."""
        ...


class Windows:
    """Item number ↔ (document, start, stop).

    A document longer than ``length`` − 2 tokens is ``cut`` into several.
    """

    def __init__(self, store: Store, length: int, *, documents: range | None = None) -> None:
        if length < SHORTEST_WINDOW:
            raise UsageError(
                f"windows of {length} tokens are too short to learn from; choose a length of at least "
                f"{SHORTEST_WINDOW}"
            )
        self.store = store
        self.length = length
        chosen = documents if documents is not None else range(len(store))
        assert chosen.step == 1, "the documents of a source are neighbours"
        sizes = store.lengths[chosen.start : chosen.stop]
        owners, self.starts, self.stops = cut(sizes, length - FRAME)
        self.documents: Integers = owners + chosen.start

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def lengths(self) -> Integers:
        """How many tokens each window has, [CLS] and [SEP] included."""
        return self.stops - self.starts + FRAME

    def order(self, ranks: Integers, seed: int, epoch: int) -> Integers:
        """The windows that stand at these places of an epoch: a keyed permutation."""
        return permute(ranks, len(self), seed, "order of windows", epoch)

    def tokens(self, items: Integers) -> Tokens:
        """The tokens of some windows one after another, without [CLS] and [SEP]."""
        sizes = self.stops[items] - self.starts[items]
        first = self.store.offsets[self.documents[items]] + self.starts[items]
        return self.store.tokens[runs(first, sizes)]

    def following(self, items: Integers) -> Integers:
        """The token that comes after each window in its document, -1 where the document ends with it."""
        documents, stops = self.documents[items], self.stops[items]
        goes_on = stops < self.store.lengths[documents]
        found = np.full(len(items), -1)
        found[goes_on] = self.store.tokens[(self.store.offsets[documents] + stops)[goes_on]]
        return found

    def document(self, item: int) -> int:
        """The number of the document that a window is of."""
        return int(self.documents[item])


def cut(sizes: Integers, content: int) -> tuple[Integers, Integers, Integers]:
    """The document of each window of at most ``content`` tokens, and where it starts and stops in it.

    A longer document is cut into whole windows and the rest; a rest shorter than a quarter of a window shares
    evenly with the whole window before it, so that no window is left without context. No token is dropped;
    documents without tokens have no window.
    """
    counts = -(-sizes // content)
    ends = np.cumsum(counts)
    number = np.arange(counts.sum()) - np.repeat(ends - counts, counts)  # of the window in its document
    starts = number * content
    rest = sizes - (counts - 1) * content
    short = np.flatnonzero((counts > 1) & (rest * 4 < content))
    starts[ends[short] - 1] = sizes[short] - (content + rest[short]) // 2
    stops = np.append(starts[1:], 0)[: len(starts)]
    stops[ends[counts > 0] - 1] = sizes[counts > 0]
    return np.repeat(np.arange(len(sizes)), counts), starts, stops


def framed(
    items: Items, numbers: Integers, tokenizer: Tokenizer, *, open_ends: bool = False
) -> tuple[Integers, Integers]:
    """[CLS] tokens [SEP] of some items one after another, and the length of each.

    With ``open_ends``, [SEP] stands only where a document ends; elsewhere the document's next token does.
    """
    lengths = items.lengths[numbers]
    flat = np.full(int(lengths.sum()), tokenizer.sep, np.int64)
    ends = np.cumsum(lengths)
    inside = np.ones(len(flat), np.bool_)
    inside[ends - 1] = False
    inside[ends - lengths] = False
    flat[ends - lengths] = tokenizer.cls
    flat[inside] = items.tokens(numbers)
    if open_ends:
        following = items.following(numbers)
        flat[ends - 1] = np.where(following < 0, tokenizer.sep, following)
    return flat, lengths
