"""The unlabelled pool: every text of the user's files, and nothing but the texts."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import PurePath

from headwater.data.examples import Example
from headwater.data.files import Source, find_sources
from headwater.data.kinds import PathLike, Split
from headwater.data.problems import Problems
from headwater.data.readers.columns import Columns, find_columns, without_text
from headwater.data.readers.sources import (
    MAX_BAD,
    guarded,
    in_parts,
    names_of,
    open_table,
    refuse_mostly_bad,
    table_examples,
    text_examples,
    why_nothing,
)
from headwater.data.readers.table import Table
from headwater.data.readers.text import checked_rule, guess_document_rule
from headwater.errors import BadDataError

POOL_SPLITS: tuple[Split | None, ...] = ("train", None)


def read_documents(
    paths: PathLike | Iterable[PathLike],
    *,
    text: str | Sequence[str] | None = None,
    problems: Problems,
    document: str | None = None,
    splits: Collection[Split | None] | None = POOL_SPLITS,
    max_bad: float = MAX_BAD,
) -> Iterator[Example]:
    """The documents behind ``paths`` as examples without labels.

    Labels, numbers and identifiers never enter. Inside folders and archives, files of other ``splits`` (by
    their names) are passed over and noted; a file that is named itself always enters, and ``splits=None``
    takes all. ``document`` ("file", "line", "block") overrules what was guessed for plain text.
    Raises BadDataError where more than ``max_bad`` of the rows are flawed (empty cells are no flaw), or no document
    is found.
    """
    sources = find_sources(paths, problems=problems)
    if splits is not None:
        sources = _of_splits(in_parts(sources), splits, problems)
    known: dict[tuple[PurePath, tuple[str, ...]], Columns] = {}
    found = False
    for source in sources:
        examples = _documents_of(source, sources, text, document, known, problems)
        for example in guarded(examples, source, problems, max_bad=max_bad):
            found = True
            yield example
    refuse_mostly_bad("the pool", problems.rows, problems.flawed, problems, max_bad=max_bad)
    if not found:
        raise BadDataError(f"no documents found in {names_of(sources)}: {why_nothing(sources, problems)}")


def _of_splits(
    sources: Sequence[Source], splits: Collection[Split | None], problems: Problems
) -> list[Source]:
    kept = [source for source in sources if source.named or source.split in splits]
    tests = sum(source.split == "test" for source in sources if source not in kept)
    if tests and "train" in splits:
        problems.note("file(s), or parts of tables, named as test parts passed over", tests)
    if not kept:
        raise BadDataError(
            f"all {len(sources):,} files found belong to validation or test parts by their names, and these "
            "never enter the pool; name a file itself to use it all the same"
        )
    return kept


def _documents_of(
    source: Source,
    siblings: Sequence[Source],
    text: str | Sequence[str] | None,
    document: str | None,
    known: dict[tuple[PurePath, tuple[str, ...]], Columns],
    problems: Problems,
) -> Iterator[Example]:
    if source.kind == "text":
        rule = checked_rule(document) if document else guess_document_rule(source, siblings)
        yield from text_examples(source, rule, problems)
        return
    table = open_table(source)
    # Files of one folder with the same header are one set, and are understood alike.
    place = (PurePath(source.path).parent, table.columns)
    columns = known.setdefault(place, find_columns(table, text=text)) if place not in known else known[place]
    if columns.text:
        yield from table_examples(table, columns, problems, use_label=False, need_label=False)
    else:
        _report_no_text(source, table, columns, problems)


def _report_no_text(source: Source, table: Table, columns: Columns, problems: Problems) -> None:
    if source.named and table.columns:
        raise without_text(source.path, columns)
    problems.add(source.path, 0, "no text column")
