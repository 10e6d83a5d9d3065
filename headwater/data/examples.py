"""What a reader gives: examples with their place in the user's files."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from headwater.data.problems import Problems


class Example(NamedTuple):
    """One row or document: its texts in the order of the text columns, and where it came from.

    ``row`` counts from 1: the data row of a table (the header is not counted), or the line of a plain text
    file where the document begins.
    """

    texts: tuple[str, ...]
    label: str | None
    path: str
    row: int

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
