"""Which things belong together: pairs that a table names, pairs of one name, clips with their own movement or sound."""

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path, PurePosixPath

from headwater.data.archives import READ_FAILURES, open_archive
from headwater.data.arrays import heads
from headwater.data.decoding import sniff_encoding
from headwater.data.files import Source, sources_of
from headwater.data.kinds import MANY, SIDES, Modality, PathLike, Side, Split, paths_in, split_of_word
from headwater.data.media_tables import MEDIA, TABLE_KINDS, speaks_of_one
from headwater.data.named_files import NamedFiles
from headwater.data.pair_rows import Pairing, PairRow, PairSet, Place, Ref, modality_of_side
from headwater.data.problems import Problems
from headwater.data.readers.columns import find_columns, listed
from headwater.data.readers.parts import says_split
from headwater.data.readers.sources import open_table
from headwater.data.readers.table import Row, Table
from headwater.data.tars import Tar, is_tar
from headwater.errors import BadDataError, MissingInputError

_LOOKED_AT = 200
_MATCHING = 0.5
_LONGEST = 1 << 20
"""Bytes that are read of a text beside a picture."""
_ROW_WORDS = ("index", "row", "number", "item", "id")


def find_pairs(
    paths: PathLike | Iterable[PathLike],
    pairing: Pairing,
    *,
    among: Sequence[PathLike] = (),
    problems: Problems | None = None,
) -> PairSet:
    """The pairs behind ``paths``; files that a table names may lie behind ``among`` as well.

    Where there are tables, their rows are the pairs: a column names files that lie beside it, behind another path or
    where its cells lead (or counts the rows of an array, from 0), another names files of another kind or holds texts.
    Several columns of texts make a pair each. Without tables, files of the same name but another kind belong together,
    and a clip alone belongs to its own movement. Where clips and recordings are asked for and there are clips alone,
    they are heard as well. A file that a table names and nobody finds is reported.
    Raises BadDataError where nothing belongs together, MissingInputError where nothing is there.
    """
    problems = Problems() if problems is None else problems
    roots = paths_in(paths)
    for root in roots:
        if not root.exists():
            raise MissingInputError(f"there is no file or folder {root}; check the path")
    tables = [source for source in sources_of(roots, "text") if source.kind in TABLE_KINDS]
    around = [*roots, *{table.file.parent: None for table in tables if table.named}, *map(Path, among)]
    media: dict[Modality, list[Source]] = {
        kind: list({source.path: source for source in sources_of(around, kind)}.values()) for kind in MEDIA
    }
    readings: list[_Reading] = []
    refused: list[BadDataError] = []
    aside = speaks_of_one(source for sources in media.values() for source in sources)
    for table in tables:
        if aside(table):
            continue
        try:
            reading = _Reading.of(table, media, pairing)
        except BadDataError as problem:  # it lacks a column that was asked for; another table may have it
            refused.append(problem)
        else:
            readings += [] if reading is None else [reading]
    if refused and not readings:
        raise refused[0]
    if readings:
        return _in_tables(readings, media, pairing, problems)
    own = {source.path for kind in (*MEDIA, "text") for source in sources_of(roots, kind)}
    texts = [source for source in sources_of(around, "text") if source.kind == "text"]
    if pairing.of_films and not media["audio"]:
        media["audio"] = _heard(media["video"])
    return _by_name(roots, {**media, "text": texts}, own, pairing, problems)


def _in_tables(
    readings: Sequence["_Reading"],
    media: Mapping[Modality, list[Source]],
    pairing: Pairing,
    problems: Problems,
) -> PairSet:
    sides = pairing.sides or readings[0].sides()
    rows = [row for reading in readings for row in reading.rows(sides, problems)]
    if not rows:
        raise BadDataError(f"{readings[0].source.path}: no pair can be used; {problems.summary()}")
    first = readings[0]
    if any(reading.hears for reading in readings):
        media = {**media, "audio": [*media["audio"], *_heard(media["video"])]}
    return PairSet(sides, rows, media, first.told(sides), {side: first.of_side(side) for side in sides})


@dataclass(frozen=True, slots=True)
class _Reading:
    """A table, and in which of its columns things of each kind are named."""

    source: Source
    table: Table
    columns: Mapping[Side, tuple[str, ...]]
    files: Mapping[Modality, NamedFiles]
    split: str | None
    whole: bool
    hears: bool
    """Whether clips are heard as well: where no column names recordings."""

    @classmethod
    def of(
        cls, source: Source, media: Mapping[Modality, list[Source]], pairing: Pairing
    ) -> "_Reading | None":
        """Look for the columns; None where the table names no media."""
        try:
            table = open_table(source)
            sample = [row for row in islice(table.rows(table.columns), _LOOKED_AT) if not row.problem]
        except (*READ_FAILURES, BadDataError):  # whoever reads it as a table says what is wrong with it
            return None
        files: dict[Modality, NamedFiles] = {
            kind: NamedFiles(source, found, kind) for kind, found in media.items()
        }
        columns: dict[Side, tuple[str, ...]] = {}
        for kind in MEDIA:
            asked = pairing.of_modality(kind)
            if pairing.remembered and not {*(asked or ())} <= {*table.columns}:
                asked = None
            found = asked or _naming(table, sample, files[kind])
            if found or (found := _counting(table, sample, media[kind])):
                columns[kind] = found
        if not columns:
            return None
        films = columns.get("video")
        silent = bool(media["video"]) and not _heard(media["video"])  # arrays of clips
        hears = pairing.of_films and not silent and columns.get("audio", films) == films
        if hears and films:
            columns["audio"] = films
        if asked := pairing.columns.get("text"):
            columns["text"] = asked
        else:
            taken = {pairing.label, *(name for names in columns.values() for name in names)}
            columns["text"] = tuple(name for name in find_columns(table).text if name not in taken)
        _require(table, columns)
        split = next((name for name in table.columns if says_split(name, table, sample)), None)
        return cls(source, table, columns, files, split, pairing.whole, hears)

    def sides(self) -> tuple[Side, Side]:
        """The two kinds of things that the columns name; BadDataError where they are not two."""
        there: list[Side] = [kind for kind in ("image", "video", "audio", "text") if self.columns.get(kind)]
        if there == ["video"]:
            return "video", "flow"
        if len(there) != 2:
            names = ", ".join(f"{SIDES[kind]} ({listed(self.columns[kind])})" for kind in there)
            raise BadDataError(
                f"{self.source.path}: its columns name {names or 'nothing'}; expected two kinds of things: name them "
                f"with --pair, as in --pair {there[0] if there else 'image'},text"
            )
        return there[0], there[1]

    def told(self, sides: tuple[Side, Side]) -> str:
        """Which columns are read, in words."""
        if self.hears:
            return f"clips and their own sound in {listed(self.columns['video'])}"
        return " and ".join(f"{SIDES[side]} in {listed(self.of_side(side))}" for side in sides)

    def of_side(self, side: Side) -> tuple[str, ...]:
        """The columns in which a side stands or is named."""
        return self.columns.get(modality_of_side(side), ())

    def rows(self, sides: tuple[Side, Side], problems: Problems) -> Iterator[PairRow]:
        """The pairs of the table."""
        for side in sides:
            if not self.of_side(side):
                raise BadDataError(
                    f"{self.source.path}: no column names {SIDES[side]}; the columns are {listed(self.table.columns)}; "
                    f"name one: --pair {sides[0]}=COLUMN,{sides[1]}=COLUMN"
                )
        for row in self.table.rows(self.table.columns):
            problems.rows += 1
            if row.problem:
                problems.add(self.source.path, row.number, row.problem, row.detail)
                continue
            yield from self._pairs(row, sides, problems)

    def _pairs(self, row: Row, sides: tuple[Side, Side], problems: Problems) -> Iterator[PairRow]:
        cells = {name: (cell or "").strip() for name, cell in zip(self.table.columns, row.cells, strict=True)}
        split = (split_of_word(cells.pop(self.split)) if self.split else None) or self.source.split
        found: list[list[Ref]] = []
        for side in sides:
            refs: list[Ref] = []
            for column in self.of_side(side):
                ref = (
                    cells[column]
                    if side == "text"
                    else self._place(modality_of_side(side), cells[column], split)
                )
                if ref:
                    refs.append(ref)
            if not refs:
                reason = "empty text" if side == "text" else "no such file"
                problems.add(self.source.path, row.number, reason, cells[self.of_side(side)[0]])
                return
            found.append(["\n".join(map(str, refs))] if self.whole and side == "text" else refs)
        for first in found[0]:
            for second in found[1]:
                yield PairRow(first, second, self.source.path, row.number, split, cells)

    def _place(self, kind: Modality, cell: str, split: Split | None) -> Place | None:
        kind = "video" if self.hears else kind
        media = self.files[kind].sources
        place = self.files[kind].find(cell)
        if place is not None:
            return Place(media[place].path, 1)
        arrays = _arrays(media, split)
        if len(arrays) == 1 and cell.isdecimal() and int(cell) < _length(arrays[0]):
            return Place(arrays[0].path, int(cell) + 1)
        return None


def _naming(table: Table, sample: Sequence[Row], files: NamedFiles) -> tuple[str, ...]:
    """The column whose cells name files."""
    if not sample:
        return ()
    shares = {
        name: sum(files.find(row.cells[number]) is not None for row in sample) / len(sample)
        for number, name in enumerate(table.columns)
    }
    best = max(shares, key=lambda name: shares[name])
    return (best,) if shares[best] >= _MATCHING else ()


def _counting(table: Table, sample: Sequence[Row], media: Sequence[Source]) -> tuple[str, ...]:
    """The column whose cells count the rows of an array, by its name: that of the file, index, row …"""
    arrays = [source for source in media if source.kind in MANY]
    stems = {source.file.stem.casefold() for source in arrays}
    able = [
        name
        for number, name in enumerate(table.columns)
        if arrays
        and sample
        and any(word in name.casefold() for word in (*_ROW_WORDS, *stems))
        and all((row.cells[number] or "").isdecimal() for row in sample)
    ]
    return tuple(able[:1])


def _heard(media: Sequence[Source]) -> list[Source]:
    return [replace(source, kind="track") for source in media if source.kind == "clip"]


def _arrays(media: Sequence[Source], split: Split | None) -> list[Source]:
    """The arrays that a number may count in: those of the part that the table is of, where there are parts."""
    arrays = [source for source in media if source.kind in MANY]
    return [source for source in arrays if source.split == split] or arrays


def _length(source: Source) -> int:
    assert source.member is not None
    return heads(source.file)[source.member].shape[0]


def _require(table: Table, columns: Mapping[Side, Sequence[str]]) -> None:
    for name in (name for names in columns.values() for name in names):
        if name not in table.columns:
            raise BadDataError(
                f'{table.path}: there is no column "{name}"; the columns are {listed(table.columns)}; name others with '
                "--text, or where files are named with --pair, as in --pair image=COLUMN,text=COLUMN"
            )


def _by_name(
    roots: Sequence[Path],
    media: Mapping[Modality, list[Source]],
    own: Collection[str],
    pairing: Pairing,
    problems: Problems,
) -> PairSet:
    """Files of the same name but another kind, one at least an ``own`` one; of clips, each with its movement."""
    found = {
        kind: {str(PurePosixPath(source.path).with_suffix("")): source for source in sources}
        for kind, sources in media.items()
        if any(source.kind not in MANY for source in sources)
    }
    there: list[Side] = [kind for kind in ("image", "video", "audio", "text") if kind in found]
    sides = pairing.sides
    if sides is None:
        sides = ("video", "flow") if not there[1:] and media["video"] else None
        sides = sides or ((there[0], there[1]) if len(there) == 2 else None)
    if sides is None:
        raise BadDataError(
            f"{', '.join(map(str, roots))}: found {' and '.join(SIDES[kind] for kind in there) or 'no media'}; "
            "expected "
            "two kinds of files with the same names, or a table that names both: say which with --pair, as in "
            "--pair image,text"
        )
    heard = [source for source in media["audio"] if source.kind == "track"]
    if heard or set(sides) == {"video", "flow"}:
        each = list(_each([source for source in heard or media["video"] if source.path in own]))
        problems.rows += len(each)
        return PairSet(
            sides, each, media, "clips and their own sound" if heard else "clips and how they move"
        )
    matched = [
        (source, found[sides[1]][stem])
        for stem, source in found.get(sides[0], {}).items()
        if stem in found.get(sides[1], {})
    ]
    matched = [pair for pair in matched if any(source.path in own for source in pair)]
    together = {source.path for pair in matched for source in pair}
    for side in sides:
        if alone := sum(path in own and path not in together for path in _paths(found.get(side, {}))):
            problems.note(f"file(s) of {SIDES[side]} without one of the same name and the other kind", alone)
    problems.rows += len(matched)
    texts = _texts([source for pair in matched for source in pair if source.kind == "text"], problems)
    rows = [
        PairRow(_ref(first, texts), _ref(second, texts), first.path, 1, first.split, {})
        for first, second in matched
        if texts.get(first.path, True) and texts.get(second.path, True)
    ]
    if not rows:
        raise BadDataError(
            f"{', '.join(map(str, roots))}: no file of {SIDES[sides[0]]} has the name of one of {SIDES[sides[1]]}; "
            "expected the same names with other endings, or a table that names both"
        )
    return PairSet(sides, rows, media, f"{SIDES[sides[0]]} and {SIDES[sides[1]]} of the same name")


def _paths(found: Mapping[str, Source]) -> Iterator[str]:
    return (source.path for source in found.values())


def _ref(source: Source, texts: Mapping[str, str]) -> Ref:
    return texts[source.path] if source.kind == "text" else Place(source.path, 1)


def _texts(sources: Sequence[Source], problems: Problems) -> dict[str, str]:
    """The text in each file, "" where there is none, which is then reported; archives are opened once."""
    found: dict[str, str] = {}
    for file, group in groupby(sources, key=lambda source: source.file):
        members = list(group)
        with ExitStack() as stack:
            archive = None
            if members[0].member is not None:
                archive = stack.enter_context(Tar(file) if is_tar(file.name) else open_archive(file))
            for source in members:
                try:
                    with archive.open(source.member or "") if archive else source.open() as stream:
                        content = stream.read(_LONGEST)
                    text = content.decode(sniff_encoding(io.BytesIO(content)).codec, "replace").strip()
                except READ_FAILURES as problem:
                    problems.add(source.path, 1, "file cannot be read", str(problem))
                    text = ""
                else:
                    if not text:
                        problems.add(source.path, 1, "empty text")
                found[source.path] = text
    return found


def _each(clips: Sequence[Source]) -> Iterator[PairRow]:
    """Each clip with itself: seen, and then its movement or its sound."""
    for source in clips:
        for row in range(_length(source) if source.kind in MANY else 1):
            place = Place(source.path, row + 1)
            yield PairRow(place, place, source.path, row + 1, source.split, {})
