"""Labelled sets: rows with their texts and one label each."""

import sys
from collections.abc import Iterator, Sequence

from headwater.data.archives import READ_FAILURES, until_damage
from headwater.data.classes import classes_of, without_false_parts
from headwater.data.examples import Example, LabelledSet
from headwater.data.files import Source, find_sources
from headwater.data.kinds import PathLike, Split
from headwater.data.problems import KEPT_PER_REASON, Problems
from headwater.data.readers.cells import numbers_in
from headwater.data.readers.columns import (
    Columns,
    LabelKind,
    find_columns,
    listed,
    looks_continuous,
    without_text,
)
from headwater.data.readers.questions import question_examples
from headwater.data.readers.sources import (
    MAX_BAD,
    guarded,
    in_parts,
    names_of,
    open_table,
    table_examples,
    text_examples,
    why_nothing,
)
from headwater.data.readers.table import Table
from headwater.data.readers.text import PROSE, DocumentRule, guess_document_rule
from headwater.errors import BadDataError, MissingInputError

_SECOND_TEXTS: dict[LabelKind, tuple[str, str]] = {
    "text": ("the text to be written", "--text SOURCE --label TARGET"),
    "passage": ("the passage to be found", "--text QUERY --label PASSAGE"),
}
"""What the second text of a pair is, and how both columns are named."""


def read_labelled(
    path: PathLike,
    *,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    split: Split | None = None,
    need_labels: bool = True,
    labels: LabelKind = "class",
    max_bad: float = MAX_BAD,
    every_part: bool = False,
) -> LabelledSet:
    """The usable rows of one labelled file, or of one part of a folder of them (or ``every_part``).

    A single file is used whatever its name; in a folder ``split`` picks the part (default: train where there
    is one, otherwise everything). Columns are guessed once, on the train part where there is one; pass
    ``text_columns`` and ``label_column`` of one set on to the others to be sure that they agree. Plain text
    files in one folder per class take their folder's name as label; of one that is named each line is a row. With
    ``need_labels=False`` (input of a prediction) rows without a label stay. ``labels`` says what the label column
    holds: rows whose label is not a number, where one is expected, are left out and reported; of questions see
    ``question_examples``. With ``every_part`` all problems are kept with their rows.
    Raises BadDataError for a wrong column, a label that is a quantity, or too many unusable rows;
    MissingInputError for a part that is not there.
    """
    problems = Problems(kept=sys.maxsize if every_part else KEPT_PER_REASON)
    sources = find_sources(path, problems=problems)
    if not every_part:
        sources = in_parts(without_false_parts(sources) if _is_plain(sources) else sources)
    chosen = sources if every_part else sources_of_split(sources, split)
    if _is_plain(chosen):
        if need_labels and labels in _SECOND_TEXTS:
            raise BadDataError(
                f"{names_of(chosen)}: plain text carries no pairs of texts; give a csv, tsv, jsonl or parquet table "
                f"with {_SECOND_TEXTS[labels][0]} in a column of its own"
            )
        alone = need_labels and split != "train"
        return _from_text(chosen, problems, need_labels=need_labels, max_bad=max_bad, alone=alone)
    columns = _columns_of(sources, chosen, text, label, labels)
    _refuse_empty(columns, chosen)
    _refuse_incomplete(columns, chosen, need_labels=need_labels, labels=labels)
    use_label = need_labels or columns.label_named
    examples: list[Example] = []
    for source in chosen:
        rows = _rows_of(source, columns, problems, labels, use_label=use_label, need_label=need_labels)
        if labels == "number" and use_label:
            rows = with_numbers(rows, problems)
        examples.extend(guarded(rows, source, problems, max_bad=max_bad))
    if need_labels and labels == "class":
        refuse_quantities(examples, columns.label, names_of(chosen))
    return _complete(
        LabelledSet(
            examples=examples,
            text_columns=columns.text,
            label_column=columns.label if use_label else None,
            problems=problems,
        ),
        chosen,
    )


def _is_plain(sources: Sequence[Source]) -> bool:
    return all(source.kind == "text" for source in sources)


def with_numbers(rows: Iterator[Example], problems: Problems) -> Iterator[Example]:
    """The rows that hold as many numbers as the first one; the others are reported."""
    expected = 0
    for row in rows:
        found = () if row.label is None else numbers_in(row.label)
        if found is None:
            problems.add(row.path, row.row, "label is not a number", (row.label or "")[:40])
        elif row.label is not None and expected and len(found) != expected:
            problems.add(row.path, row.row, f"label does not hold {expected} number(s)", row.label[:40])
        else:
            expected = expected or len(found)
            yield row


def sources_of_split(sources: list[Source], split: Split | None) -> list[Source]:
    """The sources of one part of a folder; what the user named is used whatever its name."""
    parts = {source.split for source in sources}
    whole = (
        sources[0].named or sources[0].kind == "picture"
    )  # who names the folder test/ of pictures means it
    if whole and len(parts) == 1:
        return sources
    if parts == {None}:  # no name speaks of parts, so all of it is the one part that was asked for
        return sources
    wanted = split or ("train" if "train" in parts else None)
    chosen = [source for source in sources if wanted is None or source.split == wanted]
    if not chosen:
        there = ", ".join(sorted(part for part in parts if part)) or "none"
        raise MissingInputError(
            f"no {split} part among {names_of(sources)}; parts found by name or column: {there}; "
            "name a file that holds it"
        )
    return chosen


def _columns_of(
    sources: Sequence[Source],
    chosen: Sequence[Source],
    text: str | Sequence[str] | None,
    label: str | None,
    labels: LabelKind,
) -> Columns:
    tables = [source for source in chosen if source.kind != "text"]
    train = [source for source in sources if source.split == "train" and source.kind != "text"]
    reference = opened(train[0] if train else tables[0])
    first = opened(tables[0])
    same = set(reference.columns) == set(first.columns)
    return find_columns(reference if same else first, text=text, label=label, labels=labels)


def opened(source: Source) -> Table:
    """The table in this source; BadDataError where it is damaged."""
    try:
        return open_table(source)
    except READ_FAILURES as error:
        raise BadDataError(
            f"{source.path} is damaged or not what its name says ({error}); make it again"
        ) from error


def _rows_of(
    source: Source,
    columns: Columns,
    problems: Problems,
    labels: LabelKind,
    *,
    use_label: bool,
    need_label: bool,
) -> Iterator[Example]:
    if source.kind == "text":
        problems.add(source.path, 0, "plain text among labelled tables")
        return
    table = open_table(source)
    missing = [name for name in (*columns.text, columns.label) if name and name not in table.columns]
    if missing and (need_label or missing != [columns.label]):
        raise BadDataError(
            f"{source.path}: column {listed(missing)} of the other files is not there; "
            f"the columns are {listed(table.columns)}"
        )
    read = question_examples if labels == "answers" else table_examples
    yield from read(table, columns, problems, use_label=use_label and not missing, need_label=need_label)


def _refuse_empty(columns: Columns, chosen: Sequence[Source]) -> None:
    """Where not one cell of the sample is filled, the rows tell why better than the columns do."""
    if any(column.filled for column in columns.understood):
        return
    problems = Problems()
    for source in chosen:
        if source.kind != "text":
            for row in until_damage(opened(source).rows(())):
                problems.rows += 1
                problems.add(source.path, row.number, row.problem or "empty text", row.detail)
    raise BadDataError(f"{names_of(chosen)}: no usable row; {why_nothing(chosen, problems)}")


def _refuse_incomplete(
    columns: Columns, chosen: Sequence[Source], *, need_labels: bool, labels: LabelKind
) -> None:
    names = listed([column.name for column in columns.understood])
    if labels == "answers" and (len(columns.text) != 2 or (need_labels and columns.label is None)):
        found = listed([*columns.text, *([columns.label] if columns.label else [])])
        raise BadDataError(
            f"{names_of(chosen)}: expected a question, its context and its answers; of the columns {names} these are "
            f"named so: {found}; name them with --text QUESTION,CONTEXT --label ANSWERS"
        )
    if need_labels and labels in _SECOND_TEXTS and not (columns.text and columns.label):
        sought, options = _SECOND_TEXTS[labels]
        raise BadDataError(
            f"{names_of(chosen)}: no second column reads as {sought}; the columns are {names}; name both with {options}"
        )
    if not columns.text:
        raise without_text(names_of(chosen), columns)
    if need_labels and columns.label is None:
        raise BadDataError(
            f"{names_of(chosen)}: no column is named like a label, and not exactly one has few values; "
            f'the columns are {names}; name one with --label (in Python: label="…")'
        )


def refuse_quantities(examples: Sequence[Example], column: str | None, where: str) -> None:
    """BadDataError where labels are many numbers with fractions: a quantity."""
    labels = {example.label for example in examples if example.label is not None}
    if looks_continuous(labels):
        some = ", ".join(sorted(labels)[:3])
        raise BadDataError(
            f'{where}: label column "{column}" holds {len(labels):,} distinct numbers '
            f"({some}, …), a quantity and not a class; put them into classes, or name another column with --label"
        )


def _from_text(
    chosen: Sequence[Source], problems: Problems, *, need_labels: bool, max_bad: float, alone: bool
) -> LabelledSet:
    classes = classes_of(chosen)
    by_folder = len({*classes} - {None}) > (0 if alone else 1)
    if need_labels and not by_folder:
        raise BadDataError(
            f"{names_of(chosen)}: plain text carries no labels; give a csv, tsv, jsonl or parquet table with "
            "a label column, or one folder of text files for each class"
        )
    examples: list[Example] = []
    for source, folder in zip(chosen, classes, strict=True):
        if by_folder and folder is None and need_labels:
            problems.add(source.path, 0, "in none of the folders that name classes")
            continue
        rule = "file" if by_folder else _rule_of_rows(source, chosen)
        documents = guarded(text_examples(source, rule, problems), source, problems, max_bad=max_bad)
        examples.extend(document._replace(label=folder if by_folder else None) for document in documents)
    column = "folder" if by_folder else None
    found = LabelledSet(examples=examples, text_columns=("text",), label_column=column, problems=problems)
    return _complete(found, chosen)


def _rule_of_rows(source: Source, chosen: Sequence[Source]) -> DocumentRule:
    """What a row is where nothing but text stands: a line of a file that was named, as on standard input."""
    rule = guess_document_rule(source, chosen)
    return "line" if source.named and source.suffix not in PROSE else rule


def _complete(found: LabelledSet, chosen: Sequence[Source]) -> LabelledSet:
    if not found.examples:
        raise BadDataError(f"{names_of(chosen)}: no usable row; {why_nothing(chosen, found.problems)}")
    return found
