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
    """Both sides of a row that is a pair.

    Of a row of a file also the digests of what is no text, as it was decoded, and those sides that are pictures.
    """

    first: Thing
    second: Thing
    media: tuple[int, ...] = ()
    pictures: tuple[NDArray[np.uint8], ...] = ()


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

    @property
    def labels_in_column(self) -> bool:
        """Whether labels stand in a column of a table, and not in the names of folders or in an array."""
        return self.facts.get("labels_in", "column") == "column"

    def label_counts(self) -> dict[str, int]:
        """How many examples carry each label, the most frequent first."""
        counts = Counter(example.label for example in self.examples if example.label is not None)
        return dict(counts.most_common())

    def __len__(self) -> int:
        return len(self.examples)


def texts_in(contents: Iterable[Content]) -> list[tuple[str, ...]]:
    """Rows that are texts, as all are where a task reads text."""
    return _all(contents, tuple)


def arrays_in(contents: Iterable[Content]) -> list[NDArray[np.uint8]]:
    """Rows that are pictures, recordings or clips, as all are where a task reads these."""
    return _all(contents, np.ndarray)


def pairs_in(contents: Iterable[Content]) -> list[Both]:
    """Rows that are pairs, as all are where a task reads both sides."""
    return _all(contents, Both)


def _all(contents: Iterable[Content], kind: type) -> list[Any]:
    rows = list(contents)
    assert all(isinstance(row, kind) for row in rows), (
        "rows of another kind would be answered in a wrong place"
    )
    return rows
