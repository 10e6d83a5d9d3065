"""Rows that could not be used: counted by reason, the first of them kept with their place."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

KEPT_PER_REASON = 20
EMPTY = ("empty text", "empty label")
"""Reasons that say nothing against the file: few rows of a table may have a comment, or a label."""


def place_of(path: str, row: int) -> str:
    """A row as every message names it, ``a.csv row 17``; with ``row`` 0 the whole file."""
    return f"{path} row {row}" if row else path


class Problem(NamedTuple):
    """One row (or, with ``row`` 0, one whole file) that was left out, and why."""

    path: str
    row: int
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{place_of(self.path, self.row)}: {self.reason}{detail}"


class Problems:
    """What was left out of the user's data, so that nothing is lost silently.

    Rows used + rows reported here = rows in the files. All problems are counted; the first twenty of each
    reason (or ``kept``) are kept with path and row. ``notes`` are facts that cost no row, such as a document cut in
    two.
    """

    def __init__(self, kept: int = KEPT_PER_REASON) -> None:
        self._most = kept
        self.rows = 0
        self.notes: Counter[str] = Counter()
        self._row_counts: Counter[str] = Counter()
        self._file_counts: Counter[str] = Counter()
        self._kept: dict[str, list[Problem]] = {}

    def fresh(self) -> "Problems":
        """Nothing reported yet, of which as many would be kept."""
        return Problems(self._most)

    def add(self, path: str, row: int, reason: str, detail: str = "") -> None:
        """Report one row, or a whole file as row 0. ``reason`` is counted, so it holds no numbers."""
        (self._row_counts if row else self._file_counts)[reason] += 1
        kept = self._kept.setdefault(reason, [])
        if len(kept) < self._most:
            kept.append(Problem(path, row, reason, detail))

    def note(self, fact: str, count: int = 1) -> None:
        """Count a fact worth saying that left no row out."""
        self.notes[fact] += count

    @property
    def total(self) -> int:
        """How many rows were left out."""
        return self._row_counts.total()

    @property
    def files(self) -> int:
        """How many files could not be read, or not to their end."""
        return self._file_counts.total()

    @property
    def flawed(self) -> int:
        """How many rows were left out for another reason than an empty cell."""
        return self.total - sum(self._row_counts[reason] for reason in EMPTY)

    def by_reason(self) -> dict[str, int]:
        """Rows and files left out, by reason, the most frequent first."""
        return dict((self._row_counts + self._file_counts).most_common())

    def first(self, count: int = KEPT_PER_REASON) -> list[Problem]:
        """The first problems of each reason, ``count`` in all, the most frequent reason first."""
        return [problem for reason in self.by_reason() for problem in self._kept[reason]][:count]

    def absorb(self, other: "Problems") -> None:
        """Take over what ``other`` has counted and kept."""
        self.rows += other.rows
        self.notes += other.notes
        self._row_counts += other._row_counts
        self._file_counts += other._file_counts
        for reason, problems in other._kept.items():
            kept = self._kept.setdefault(reason, [])
            kept.extend(problems[: max(0, self._most - len(kept))])

    def summary(self) -> str:
        """One line: ``12 of 5,712 rows left out: 9 empty text, 3 bad quotes (first: a.csv row 17)``."""
        parts = [f"{self.total:,} of {self.rows:,} rows left out{_reasons(self._row_counts)}"]
        if self.files:
            parts.append(f"{self.files:,} files not read to their end{_reasons(self._file_counts)}")
        if first := self.first(1):
            parts[-1] += f" (first: {place_of(first[0].path, first[0].row)})"
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "rows": self.rows,
            "left_out": self.total,
            "files": self.files,
            "by_reason": self.by_reason(),
            "notes": dict(self.notes),
            "first": [problem._asdict() for kept in self._kept.values() for problem in kept],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Problems":
        """The reverse of ``to_dict``."""
        found = cls()
        found.rows = values["rows"]
        found.notes.update(values["notes"])
        for problem in (Problem(**first) for first in values["first"]):
            found._kept.setdefault(problem.reason, []).append(problem)
        for reason, kept in found._kept.items():
            counts = found._row_counts if kept[0].row else found._file_counts
            counts[reason] = values["by_reason"][reason]
        return found

    def __str__(self) -> str:
        return self.summary()


def _reasons(counts: Counter[str]) -> str:
    return ": " * bool(counts) + ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
