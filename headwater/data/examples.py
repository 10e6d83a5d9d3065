"""What a reader gives: examples with their place in the user's files."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.data.problems import Problems

Thing = str | NDArray[np.uint8]
"""One side of a pair: a text, or an array (H, W, K)."""


@dataclass(frozen=True, slots=True)
class Both:
    """Both sides of a row that is a pair, and the digests of those that are no text, as they were decoded."""

    first: Thing
    second: Thing
    media: tuple[int, ...] = ()


Content = tuple[str, ...] | NDArray[np.uint8] | Both
"""What a model reads of a row: its texts, a picture (H, W, K), or both sides of a pair."""


class Example(NamedTuple):
    """One row, document or picture, and where it came from.

    ``texts`` stand in the order of the text columns; a picture has none, but ``pixels`` (H, W, K), and the ``digest``
    of what they were before they were brought to this size. A history has an ``owner``; what has
    several texts for its label has ``more``; what is a pair has ``both`` sides and no pixels, its text being among the
    texts. ``row`` counts from 1: the data
    row of a table (the header is not counted), the line of a plain text file where the document begins, the picture of
    an array.
    """

    texts: tuple[str, ...]
    label: str | None
    path: str
    row: int
    pixels: NDArray[np.uint8] | None = None
    digest: int | None = None
    owner: str | None = None
    more: tuple[str, ...] = ()
    both: Both | None = None

    @property
    def content(self) -> Content:
        """What a model reads: the texts, the picture, or both sides."""
        if self.both is not None:
            return self.both
        return self.texts if self.pixels is None else self.pixels

    @property
    def references(self) -> tuple[str, ...]:
        """The texts that may be written of it."""
        return (self.label or "", *self.more)

    @property
    def text(self) -> str:
        """All texts that are not empty as one text, a line break between them."""
        return self.texts[0] if len(self.texts) == 1 else "\n".join(filter(None, self.texts))


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """The usable rows of one part (train, validation or test) of a labelled set.

    ``facts`` are what a reader understood besides the rows: how many events, from when to when.
    """

    examples: list[Example]
    text_columns: tuple[str, ...]
    label_column: str | None
    problems: Problems = field(default_factory=Problems)
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels, sorted."""
        return tuple(sorted(self.label_counts()))

    def label_counts(self) -> dict[str, int]:
        """How many examples carry each label, the most frequent first."""
        counts = Counter(example.label for example in self.examples if example.label is not None)
        return dict(counts.most_common())

    def __len__(self) -> int:
        return len(self.examples)


def texts_in(contents: Iterable[Content]) -> list[tuple[str, ...]]:
    """The rows that are texts: all of them where a task reads text."""
    return [content for content in contents if isinstance(content, tuple)]


def arrays_in(contents: Iterable[Content]) -> list[NDArray[np.uint8]]:
    """The rows that are pictures, recordings or clips: all of them where a task reads these."""
    return [content for content in contents if isinstance(content, np.ndarray)]


def pairs_in(contents: Iterable[Content]) -> list[Both]:
    """The rows that are pairs: all of them where a task reads both sides."""
    return [content for content in contents if isinstance(content, Both)]
