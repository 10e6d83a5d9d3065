"""Tables beside pictures, recordings and clips: which file each row names, and what the row says of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

from headwater.data.archives import READ_FAILURES
from headwater.data.files import FurtherRow, Source, find_sources, sources_of
from headwater.data.kinds import MODALITIES, Modality, PathLike, paths_in, split_of_word
from headwater.data.named_files import NamedFiles
from headwater.data.problems import Problems
from headwater.data.readers.columns import LABEL_NAMES, listed
from headwater.data.readers.parts import says_split
from headwater.data.readers.sources import open_table
from headwater.data.readers.table import Row, Table
from headwater.errors import BadDataError, HeadwaterError, MissingInputError

MEDIA: tuple[Modality, ...] = ("image", "audio", "video")
TABLE_KINDS = ("csv", "tsv", "jsonl", "json", "parquet", "arrow")
_LOOKED_AT = 200
_MATCHING = 0.5


def find_media(
    paths: PathLike | Iterable[PathLike], *, modality: Modality, problems: Problems | None = None
) -> list[Source]:
    """Like ``find_sources`` for pictures, recordings or clips; tables beside them say what is known of each.

    A column whose cells are names of the files found is that of the files; each source then carries its ``row``, and
    the part that a column named split (or so) says, or the table's own name. Where a path is such a table, the
    files that it names are meant: they lie beside it, or where its cells lead. A file that a table names and nobody
    finds is reported.
    """
    problems = Problems() if problems is None else problems
    found: dict[str, Source] = {}
    for path in paths_in(paths):
        tables = _tables_in(path)
        alone = len(tables) == 1 and tables[0].named
        if alone:
            sources = _around(tables[0], modality, problems)
        else:
            sources = find_sources(path, modality=modality, problems=problems)
        if not path.is_dir():
            sources = [replace(source, named=True) for source in sources]
        for source in _joined(sources, tables, modality, problems, alone=alone):
            found.setdefault(source.path, source)
    return list(found.values())


def modality_of(paths: PathLike | Iterable[PathLike]) -> Modality:
    """What the data behind ``paths`` are: pictures, recordings or clips where these are more files and more bytes.

    Texts that stand beside pictures of the same name (captions) do not count, and a table that names
    files beside it stands for them. Else text; arrays that are neither pictures nor clips are told of as pictures.
    """
    texts = sources_of(paths, "text")
    if texts and all(source.named and source.kind in TABLE_KINDS for source in texts):
        named: set[Modality] = {_named_in(source) or "text" for source in texts}
        return named.pop() if len(named) == 1 else "text"
    seen = {modality: sources_of(paths, modality) for modality in MEDIA}
    modality = max(MEDIA, key=lambda other: len(seen[other]))
    media = seen[modality]
    if not media and not texts and all(path.suffix.lower() == ".npz" for path in paths_in(paths)):
        return "image"
    aside = speaks_of_one(media)
    texts = [source for source in texts if not aside(source)]
    if media and not texts:
        return modality
    larger = sum(source.size for source in media) > sum(source.size for source in texts)
    return modality if len(media) > len(texts) and larger else "text"


def media_of(paths: PathLike | Iterable[PathLike], modality: Modality) -> list[Source]:
    """All that a run of this modality reads; nothing where nothing is there. Tables are no text to a run of media."""
    if modality == "text":
        return sources_of(paths, modality)
    try:
        return find_media(paths, modality=modality)
    except (MissingInputError, BadDataError):  # nothing, or a table that names no files
        return []


def label_column(sources: Sequence[Source], wanted: str | None) -> str | None:
    """The column of the tables that holds the labels; None where no table speaks of these sources.

    ``wanted``, else a column with a label's name, else the only one there is. Raises BadDataError where it is not
    there, or where there are several that might be meant.
    """
    columns = known_columns(sources)
    if not columns or wanted in columns:
        return wanted if columns else None
    if wanted is not None:
        raise BadDataError(f'there is no column "{wanted}" beside the files; there are {listed(columns)}')
    named = [name for label in LABEL_NAMES for name in columns if name.casefold() == label]
    if not named and len(columns) > 1:
        raise BadDataError(
            f"{listed(columns)} are known of each file; say which of them is the label with --label"
        )
    return (named or columns)[0]


def report_further_rows(sources: Sequence[Source], problems: Problems) -> None:
    """Rows that speak of a file of which one does already: of one label there is one."""
    for source in sources:
        for row in source.more:
            problems.add(row.table, row.number, "a file named twice", source.path)


def known_columns(sources: Sequence[Source]) -> list[str]:
    """What tables say of these sources besides which file and which part they are."""
    return list(dict.fromkeys(name for source in sources for name in source.row or ()))


def _named_in(table: Source) -> Modality | None:
    """What the files are that a table names."""
    for modality in MEDIA:
        try:
            files = NamedFiles(table, sources_of(table.file.parent, modality), modality)
            if _Naming.of(table, files) is not None:
                return modality
        except (*READ_FAILURES, HeadwaterError):
            return None
    return None


def _around(table: Source, modality: Modality, problems: Problems) -> list[Source]:
    """What lies in the folder of a table and below; none of it may be what the table names."""
    found = Problems()
    try:
        sources = find_sources(table.file.parent, modality=modality, problems=found)
    except MissingInputError:
        sources = []
    found.notes.clear()  # what else lies around a table is not its business
    problems.absorb(found)
    return sources


def _tables_in(path: Path) -> list[Source]:
    return [source for source in sources_of(path, "text") if source.kind in TABLE_KINDS]


def speaks_of_one(media: Iterable[Source]) -> Callable[[Source], bool]:
    """Tells by its name whether a file speaks of one of these alone, as a.txt and a.jpg.json do of a.jpg."""
    files = {PurePosixPath(source.path) for source in media}
    names = files | {file.with_suffix("") for file in files}
    return lambda source: PurePosixPath(source.path).with_suffix("") in names


def _joined(
    sources: list[Source], tables: Sequence[Source], modality: Modality, problems: Problems, *, alone: bool
) -> list[Source]:
    """The sources with their rows, those of several tables together; where one table was named, those alone that it
    speaks of."""
    known: dict[int, Source] = {}
    aside = speaks_of_one(sources)
    for source in tables:
        if not alone and aside(source):
            continue
        try:
            naming = _Naming.of(source, NamedFiles(source, sources, modality))
            if naming is not None:
                for place, (found, row) in naming.rows(problems).items():
                    before = known.get(place)
                    known[place] = (
                        found if before is None else _both(before, found, source.path, row, problems)
                    )
            elif alone:
                raise BadDataError(
                    f"{source.path}: no column names {MODALITIES[modality]} that lie beside it or where its paths lead"
                )
            else:
                problems.note(
                    f"table {source.file.name} names none of the files, or fewer than every second row does"
                )
        except READ_FAILURES as problem:
            problems.add(source.path, 0, "table damaged or unreadable", str(problem))
        except BadDataError as problem:
            if alone:
                raise
            problems.add(source.path, 0, "table cannot be read", str(problem))
    if alone:
        return [known[place] for place in sorted(known)]
    return [known.get(place, source) for place, source in enumerate(sources)]


def _both(before: Source, now: Source, table: str, row: int, problems: Problems) -> Source:
    """What two tables say of one file; where they disagree the earlier one is right, and that is told."""
    said, more = before.row or {}, now.row or {}
    strange = [name for name in more if name in said and said[name] != more[name]]
    if None not in (before.split, now.split) and before.split != now.split:
        strange.append("its part")
    if strange:
        problems.add(
            table, row, "two tables disagree, the first is kept", f"{before.path}: {listed(strange)}"
        )
    return replace(
        before, row={**more, **said}, more=(*before.more, *now.more), split=before.split or now.split
    )


@dataclass(frozen=True, slots=True)
class _Naming:
    """A table of which one column names files."""

    source: Source
    table: Table
    file: str
    split: str | None
    files: NamedFiles
    endings: bool
    """Whether names have to have their endings: without, a column of numbers might be one of labels."""

    @classmethod
    def of(cls, source: Source, files: NamedFiles) -> "_Naming | None":
        """Look for the column; None where there is none."""
        table = open_table(source)
        sample = [row for row in islice(table.rows(table.columns), _LOOKED_AT) if not row.problem]
        endings = True
        file = _column_of_files(table, sample, files.find)
        if file is None:
            endings = False
            file = _column_of_files(table, sample, partial(files.find, endings=False), different=True)
        if file is None:
            return None
        split = next((name for name in table.columns if says_split(name, table, sample)), None)
        return cls(source, table, file, split, files, endings)

    def rows(self, problems: Problems) -> dict[int, tuple[Source, int]]:
        """The sources that rows speak of, by their place, and the number of the row."""
        found: dict[int, tuple[Source, int]] = {}
        columns = self.table.columns
        own = columns.index(self.file)
        for row in self.table.rows(columns):
            if row.problem:
                problems.add(self.source.path, row.number, row.problem, row.detail)
                continue
            place = self.files.find(row.cells[own], endings=self.endings)
            if place is None:
                problems.add(self.source.path, row.number, "no such file", str(row.cells[own]))
            elif place in found:
                first, number = found[place]
                source = self._source(self.files.sources[place], row)
                again = FurtherRow(self.source.path, row.number, source.row or {})
                found[place] = replace(first, more=(*first.more, again)), number
            else:
                found[place] = self._source(self.files.sources[place], row), row.number
        return found

    def _source(self, source: Source, row: Row) -> Source:
        cells = dict(zip(self.table.columns, row.cells, strict=True))
        split = split_of_word(str(cells[self.split])) if self.split else self.source.split
        known = {
            name: (cell or "").strip() for name, cell in cells.items() if name not in (self.file, self.split)
        }
        return replace(source, row=known, split=split or source.split)


def _column_of_files(
    table: Table, sample: Sequence[Row], find: Callable[[str | None], int | None], *, different: bool = False
) -> str | None:
    """The column most cells of which name files, no two the same where they have to be ``different``."""
    shares: dict[str, float] = {}
    for number, name in enumerate(table.columns):
        cells = [row.cells[number] for row in sample]
        if not different or len(set(cells)) == len(cells):
            shares[name] = sum(find(cell) is not None for cell in cells) / max(1, len(cells))
    file = max(shares, key=lambda name: shares[name], default=None)
    return None if file is None or shares[file] < _MATCHING else file
