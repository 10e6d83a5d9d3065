"""Tables beside pictures, recordings and clips: which file each row names, and what the row says of it."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

from headwater.data.archives import READ_FAILURES
from headwater.data.files import FurtherRow, Source, find_sources, sources_of
from headwater.data.kinds import MANY, Modality, PathLike, Split, paths_in, split_of_word
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
    files that it names are meant, and they lie beside it. A file that a table names and nobody finds is reported.
    """
    problems = Problems() if problems is None else problems
    found: dict[str, Source] = {}
    for path in paths_in(paths):
        tables = _tables_in(path)
        alone = len(tables) == 1 and tables[0].named
        around = path.parent if alone else path
        beside = Problems()
        sources = find_sources(around, modality=modality, problems=beside)
        if alone:  # what else lies around a table is not its business
            beside.notes.clear()
        problems.absorb(beside)
        if not path.is_dir():
            sources = [replace(source, named=True) for source in sources]
        for source in _joined(sources, tables, problems, alone=alone):
            found.setdefault(source.path, source)
    return list(found.values())


def modality_of(paths: PathLike | Iterable[PathLike]) -> Modality:
    """What the data behind ``paths`` are: pictures, recordings or clips where these are more files and more bytes.

    Texts that stand beside pictures of the same name (captions) do not count, and a table that names
    files beside it stands for them. Else text; arrays that are neither pictures nor clips are told of as pictures.
    """
    texts = sources_of(paths, "text")
    if len(texts) == 1 and texts[0].named and texts[0].kind in TABLE_KINDS:
        return _named_in(texts[0]) or "text"
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
            if _Naming.of(table, places_of(sources_of(table.file.parent, modality))) is not None:
                return modality
        except (*READ_FAILURES, HeadwaterError):
            return None
    return None


def _tables_in(path: Path) -> list[Source]:
    return [source for source in sources_of(path, "text") if source.kind in TABLE_KINDS]


def speaks_of_one(media: Iterable[Source]) -> Callable[[Source], bool]:
    """Tells by its name whether a file speaks of one of these alone, as a.txt and a.jpg.json do of a.jpg."""
    files = {PurePosixPath(source.path) for source in media}
    names = files | {file.with_suffix("") for file in files}
    return lambda source: PurePosixPath(source.path).with_suffix("") in names


def _joined(
    sources: list[Source], tables: Sequence[Source], problems: Problems, *, alone: bool
) -> list[Source]:
    """The sources with their rows, those of several tables together; where one table was named, those alone that it
    speaks of."""
    known: dict[int, Source] = {}
    aside = speaks_of_one(sources)
    for source in tables:
        if not alone and aside(source):
            continue
        try:
            naming = _Naming.of(source, places_of(sources, source.split))
            if naming is not None:
                for place, (found, row) in naming.rows(sources, problems).items():
                    before = known.get(place)
                    known[place] = (
                        found if before is None else _both(before, found, source.path, row, problems)
                    )
            elif alone:
                raise BadDataError(f"{source.path}: no column names files that lie beside it")
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


def places_of(sources: Sequence[Source], split: Split | None = None) -> dict[str, int]:
    """Where the source of each name stands: by its path; by that inside an archive, by its last part, by that in any
    letter case and Unicode form, and by that without its ending, where no other has the same.

    Where a table is of one part of the data (``split``), another means of that part or of none: archives of several
    parts may hold files of the same names.
    """
    by_path: dict[str, int] = {}
    members, names, other_members, other_names = tiers = [dict[str, set[int]]() for _ in range(4)]
    for place, source in enumerate(sources):
        if source.kind in MANY:
            continue
        by_path[source.path] = place
        foreign = split is not None and source.split not in (split, None)
        if source.member is not None:
            (other_members if foreign else members).setdefault(source.member, set()).add(place)
        name = PurePosixPath(source.path)
        for key in (name.name, _folded(name.name), _folded(name.stem)):
            (other_names if foreign else names).setdefault(key, set()).add(place)
    found: dict[str, set[int]] = {}
    for tier in tiers:
        found = tier | found
    return {name: place for name, (place, *more) in found.items() if not more} | by_path


def _folded(name: str) -> str:
    """A name as it is told from others whatever its letter case and Unicode form; no file is called so."""
    return "/" + unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True, slots=True)
class _Naming:
    """A table of which one column names files."""

    source: Source
    table: Table
    file: str
    split: str | None
    places: dict[str, int]
    endings: bool
    """Whether names have to have their endings: without, a column of numbers might be one of labels."""

    @classmethod
    def of(cls, source: Source, places: dict[str, int]) -> "_Naming | None":
        """Look for the column; None where there is none."""
        table = open_table(source)
        sample = [row for row in islice(table.rows(table.columns), _LOOKED_AT) if not row.problem]
        endings = True
        folder = Path(source.path).parent
        file = _column_of_files(table, sample, partial(place_in, folder, places))
        if file is None:
            endings = False
            find = partial(place_in, folder, places, endings=False)
            file = _column_of_files(table, sample, find, different=True)
        if file is None:
            return None
        split = next((name for name in table.columns if says_split(name, table, sample)), None)
        return cls(source, table, file, split, places, endings)

    def rows(self, sources: Sequence[Source], problems: Problems) -> dict[int, tuple[Source, int]]:
        """The sources that rows speak of, by their place, and the number of the row."""
        found: dict[int, tuple[Source, int]] = {}
        columns = self.table.columns
        own = columns.index(self.file)
        for row in self.table.rows(columns):
            if row.problem:
                problems.add(self.source.path, row.number, row.problem, row.detail)
                continue
            place = place_in(Path(self.source.path).parent, self.places, row.cells[own], endings=self.endings)
            if place is None:
                problems.add(self.source.path, row.number, "no such file", str(row.cells[own]))
            elif place in found:
                first, number = found[place]
                again = FurtherRow(self.source.path, row.number, self._source(sources[place], row).row or {})
                found[place] = replace(first, more=(*first.more, again)), number
            else:
                found[place] = self._source(sources[place], row), row.number
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


def place_in(
    folder: Path, places: Mapping[str, int], cell: str | None, *, endings: bool = True
) -> int | None:
    """Where the source stands that a cell of a table in ``folder`` names; None where there is none.

    A name in another letter case or Unicode form will do, and without ``endings`` one that lacks its own.
    """
    if not cell:
        return None
    name = cell.strip().replace("\\", "/")
    last = PurePosixPath(name).name
    beside = (folder / name).as_posix()
    tried = [beside, Path(os.path.normpath(beside)).as_posix(), name, last]
    tried += [_folded(last)] if PurePosixPath(last).suffix or not endings else []
    return next((places[key] for key in tried if key in places), None)
