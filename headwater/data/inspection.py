"""What was understood of the user's data before anything is done with it; writes nothing."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from headwater.data.archives import READ_FAILURES
from headwater.data.examples import Example
from headwater.data.files import Source, survey
from headwater.data.kinds import PathLike
from headwater.data.problems import Problems
from headwater.data.readers.columns import Columns, find_columns, missing_media
from headwater.data.readers.sources import guarded, in_parts, open_table, table_examples, text_examples
from headwater.data.readers.table import Table
from headwater.data.readers.text import checked_rule, guess_document_rule
from headwater.data.scripts import language_guess, script_shares
from headwater.data.splits import text_digest
from headwater.telling import Told

EXAMINED_ROWS = 200_000
"""Rows looked at in each file; of a larger file the report says that it speaks of these."""

_PERCENTILES = (5, 50, 95, 100)
_SCRIPT_ROWS = 5000
_SCRIPT_CHARACTERS = 10_000
_SHOWN_CHARACTERS = 60
_SHOWN_LABELS = 8


@dataclass(frozen=True, kw_only=True)
class ColumnReport:
    """One column: what it is taken for, and a few of its cells."""

    name: str
    role: str
    distinct: int
    examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """One file as it was understood. ``rows`` counts what can be used among the rows examined."""

    path: str
    kind: str
    split: str | None
    size: int
    compression: str | None
    encoding: str
    facts: dict[str, str]
    rows: int
    sampled: bool
    columns: tuple[ColumnReport, ...] = ()
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    labels: dict[str, int] = field(default_factory=dict[str, int])
    scripts: dict[str, float] = field(default_factory=dict[str, float])
    characters: int = 0
    lengths: dict[str, int] = field(default_factory=dict[str, int])
    exact_duplicates: int = 0
    also_in_train: int = 0
    problems: Problems = field(default_factory=Problems)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        plain = {name: value for name, value in vars(self).items() if name not in ("columns", "problems")}
        plain["columns"] = [asdict(column) for column in self.columns]
        plain["language"] = language_guess(self.scripts)
        plain["problems"] = self.problems.to_dict()
        return plain

    def lines(self) -> list[str]:
        """A few lines to read."""
        packed = f" in {self.compression}" if self.compression else ""
        lines = [
            shown(self.path, 200),
            f"  {self.split or 'no split'} · {self.kind}{packed} · {self.size:,} bytes · {self.rows:,} rows",
            "  " + " · ".join([f"encoding {self.encoding}", *(f"{k}: {v}" for k, v in self.facts.items())]),
        ]
        if self.sampled:
            lines.append(f"  sampled: all figures are of the first {EXAMINED_ROWS:,} rows")
        for column in self.columns[:20]:
            cells = " | ".join(shown(example) for example in column.examples)
            lines.append(f"  {column.role:<10} {shown(column.name)}: {cells}")
        if len(self.columns) > 20:
            lines.append(f"  and {len(self.columns) - 20:,} more columns")
        lines.extend(f"  {line}" for line in self._findings())
        return lines

    def _findings(self) -> Iterator[str]:
        if self.labels:
            counts = ", ".join(
                f"{shown(label)} {n:,}" for label, n in list(self.labels.items())[:_SHOWN_LABELS]
            )
            yield f"{len(self.labels):,} labels: {counts}{', …' if len(self.labels) > _SHOWN_LABELS else ''}"
        if self.lengths:
            lengths = ", ".join(f"{value:,} ({name})" for name, value in self.lengths.items())
            yield f"characters: {self.characters:,}; in a row: {lengths}"
        if self.scripts:
            shares = ", ".join(
                f"{name} {share:.0%}" for name, share in self.scripts.items() if share >= 0.005
            )
            yield f"language: {language_guess(self.scripts)} ({shares})"
        if self.exact_duplicates:
            yield f"{self.exact_duplicates:,} rows equal an earlier row of this file"
        if self.also_in_train:
            yield f"{self.also_in_train:,} rows equal a row of a train file"
        if self.problems.by_reason():
            yield self.problems.summary()
        for fact, count in self.problems.notes.items():
            yield f"{count:,} {fact}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Inspection(Told):
    """What lies behind the paths the user gave."""

    files: tuple[FileReport, ...]
    ignored: dict[str, int]
    problems: Problems

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "files": [report.to_dict() for report in self.files],
            "ignored": self.ignored,
            "problems": self.problems.to_dict(),
        }

    def lines(self) -> list[str]:
        """The report as lines to read."""
        rows = sum(report.rows for report in self.files)
        characters = sum(report.characters for report in self.files)
        lines = [line for report in self.files for line in report.lines()]
        files = len({report.path for report in self.files})  # a table may be told of once a part
        lines.append(f"{files:,} files · {rows:,} usable rows · {characters:,} characters")
        if self.ignored:
            passed_over = ", ".join(f"{count:,} {suffix}" for suffix, count in self.ignored.items())
            lines.append(f"passed over: {passed_over}")
        lines.extend(shown(str(problem), 200) for problem in self.problems.first())
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())


def inspect(
    paths: PathLike | Iterable[PathLike],
    *,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    document: str | None = None,
) -> Inspection:
    """Look at files and folders and say what was understood: kinds, columns, languages, sizes, problems.

    At most 200,000 rows of each file are examined. Raises MissingInputError where there is nothing to look at
    and BadDataError for a column that is named but not there.
    """
    problems = Problems()
    found = survey(paths, problems=problems)
    sources = in_parts(found.sources)
    looks = [_look(source, sources, text, label, document) for source in sources]
    train = {digest for look in looks if look.report.split == "train" for digest in look.digests}
    return Inspection(
        files=tuple(_against_train(look, train) for look in looks),
        ignored=dict(found.ignored.most_common()),
        problems=problems,
    )


@dataclass(frozen=True, kw_only=True)
class _Look:
    """A report before its rows are compared with those of the train files."""

    report: FileReport
    digests: list[int]


def _look(
    source: Source,
    siblings: Sequence[Source],
    text: str | Sequence[str] | None,
    label: str | None,
    document: str | None,
) -> _Look:
    problems = Problems()
    examples: Iterator[Example] = iter(())
    facts: dict[str, str] = {}
    columns: Columns | None = None
    encoding = "unknown"
    try:
        encoding = f"{source.encoding.codec} ({source.encoding.evidence})"
        if source.kind == "text":
            rule = checked_rule(document) if document else guess_document_rule(source, siblings)
            facts["one document"] = f"each {rule}" + ("" if document else " (guessed)")
            examples = text_examples(source, rule, problems)
        else:
            table = open_table(source)
            facts |= table.facts
            columns = find_columns(table, text=text, label=label)
            examples = _rows(table, columns, problems)
    except READ_FAILURES as error:
        problems.add(source.path, 0, "file damaged or unreadable", str(error))
    # max_bad=1: an inspection reports a bad file, it never refuses one.
    examples = guarded(examples, source, problems, max_bad=1.0)
    figures = _Figures(islice(examples, EXAMINED_ROWS))
    sampled = next(examples, None) is not None
    return _Look(
        report=FileReport(
            path=source.path,
            kind=source.kind,
            split=source.split,
            size=source.size,
            compression=source.compression,
            encoding=encoding,
            facts=facts,
            rows=len(figures.lengths) if columns is None or columns.text else problems.rows - problems.total,
            sampled=sampled,
            columns=_column_reports(columns),
            text_columns=columns.text if columns else (),
            label_column=columns.label if columns else None,
            labels=dict(figures.labels.most_common()),
            scripts=script_shares(figures.first_texts),
            characters=sum(figures.lengths),
            lengths=_percentiles(figures.lengths),
            exact_duplicates=len(figures.digests) - len(set(figures.digests)),
            problems=problems,
        ),
        digests=figures.digests,
    )


class _Figures:
    """What one pass over the examples of a file gathers."""

    def __init__(self, examples: Iterable[Example]) -> None:
        self.lengths: list[int] = []
        self.digests: list[int] = []
        self.labels: Counter[str] = Counter()
        self.first_texts: list[str] = []
        for example in examples:
            text = example.text
            self.lengths.append(len(text))
            self.digests.append(text_digest(text))
            if example.label is not None:
                self.labels[example.label] += 1
            if len(self.first_texts) < _SCRIPT_ROWS:
                self.first_texts.append(text[:_SCRIPT_CHARACTERS])


def _rows(table: Table, columns: Columns, problems: Problems) -> Iterator[Example]:
    if columns.text:
        yield from table_examples(table, columns, problems, use_label=True, need_label=False)
        return
    missing = missing_media(columns)
    problems.note("table without a text column" + (f": of {missing}" if missing else ""))
    for row in table.rows(table.columns[:1]):
        problems.rows += 1
        if row.problem:
            problems.add(table.path, row.number, row.problem, row.detail)


def _column_reports(columns: Columns | None) -> tuple[ColumnReport, ...]:
    return tuple(
        ColumnReport(name=column.name, role=column.role, distinct=column.distinct, examples=column.examples)
        for column in (columns.understood if columns else ())
    )


def _percentiles(lengths: Sequence[int]) -> dict[str, int]:
    if not lengths:
        return {}
    values = np.percentile(lengths, _PERCENTILES, method="nearest")
    return {f"{share} %": int(value) for share, value in zip(_PERCENTILES, values, strict=True)}


def _against_train(look: _Look, train: set[int]) -> FileReport:
    if look.report.split not in ("validation", "test"):
        return look.report
    return replace(look.report, also_in_train=sum(digest in train for digest in look.digests))


def shown(text: str, most: int = _SHOWN_CHARACTERS) -> str:
    """Text from a file made safe for a terminal: one line, no control characters, at most ``most`` long."""
    plain = "".join(character if character.isprintable() else " " for character in text[: most + 1])
    return plain if len(text) <= most else plain[: most - 1] + "…"
