"""Labelled pairs: rows of a table of which both sides are read, decoded once and kept beside their labels."""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from headwater.data.array_file import ArrayFile
from headwater.data.asides import is_whole, made_in_cache
from headwater.data.examples import Both, Example, LabelledSet
from headwater.data.kinds import PathLike, Split
from headwater.data.media_pool import told_apart
from headwater.data.pair_cut import PairCut
from headwater.data.pair_items import Nowhere, Shelf, pair_items
from headwater.data.pair_rows import PairRow, PairSet, Place, modality_of_side
from headwater.data.pairing import find_pairs
from headwater.data.problems import KEPT_PER_REASON, Problem, Problems
from headwater.data.readers.columns import LABEL_NAMES, LabelKind, listed
from headwater.data.readers.labelled import with_numbers
from headwater.data.store import cache_folder, store_key
from headwater.errors import BadDataError, MissingInputError

FORMAT = 1
_FILES = ("facts.json", "pairs.npz")
_NAMES = ("first", "second")


def read_labelled_pairs(
    path: PathLike,
    *,
    cut: PairCut,
    label: str | None = None,
    split: Split | None = None,
    need_labels: bool = True,
    labels: LabelKind = "class",
    every_part: bool = False,
    check: Callable[[], None] | None = None,
) -> LabelledSet:
    """The usable rows of a table, or of one part of it (or ``every_part``), both sides as ``cut`` says, with labels.

    A row of which a side cannot be read, or that has no label, is reported under its number, and the rest goes on;
    with ``every_part`` all of them keep their place. With ``need_labels=False`` rows without a label stay. Several
    texts of a row are read as one. ``facts["cut"]`` is the fitted cut. Raises BadDataError where no row is left, where
    pairs have no table, or where nobody can tell which column is the label.
    """
    problems = Problems(kept=sys.maxsize if every_part else KEPT_PER_REASON)
    found = find_pairs(path, cut.pairing.labelled(label), problems=problems)
    rows = found.rows if every_part else _of_split(found.rows, split, path)
    column = _label_of(found, label, path) if need_labels else None
    if column is not None:
        rows = [row for row in rows if _has_label(row, column, problems)]
    if not rows:
        raise BadDataError(f"{path}: no row can be used; {problems.summary()}")
    found = found.having(rows)
    cut = cut.fitted(found, check)
    read = _read(found, cut, column, problems, check)
    if not (usable := list(with_numbers(read, problems) if labels == "number" and column else read)):
        raise BadDataError(f"{path}: no row can be used; {problems.summary()}")
    return LabelledSet(
        examples=usable,
        text_columns=cut.text,
        label_column=column,
        problems=problems,
        facts={"cut": cut.to_dict(), "labels_in": "column", "not_read": _not_read(found, column)},
    )


def _of_split(rows: Sequence[PairRow], split: Split | None, path: PathLike) -> list[PairRow]:
    """The rows of one part; all of them where a file was named that is of one, or where nothing speaks of parts."""
    parts = {row.split for row in rows}
    if len(parts) == 1 and (parts == {None} or Path(path).is_file()):
        return list(rows)
    chosen = [row for row in rows if row.split == split]
    if not chosen:
        there = ", ".join(sorted(part for part in parts if part)) or "none"
        raise MissingInputError(
            f"no {split} part in {path}; parts found by name or column: {there}; name a file that holds it"
        )
    return chosen


def _label_of(found: PairSet, wanted: str | None, path: PathLike) -> str:
    """The column of the labels: the one that was asked for, one with a label's name, or the only one that is left."""
    columns = list(found.rows[0].cells)
    if not columns:
        raise BadDataError(
            f"{path}: these pairs stand in no table ({found.how}), so that nothing says what they are; give a table "
            "that names both sides and holds a label"
        )
    if wanted in columns:
        return wanted
    if wanted is not None:
        raise BadDataError(f'{path}: there is no column "{wanted}"; the columns are {listed(columns)}')
    rest = _not_read(found, None)
    named = [name for known in LABEL_NAMES for name in rest if name.casefold() == known]
    if not named and len(rest) != 1:
        raise BadDataError(
            f"{path}: {listed(rest)} are known of each pair; say which of them is the label with --label"
        )
    return (named or rest)[0]


def _not_read(found: PairSet, label: str | None) -> list[str]:
    used = {label, *(name for names in found.columns.values() for name in names)}
    return [name for name in found.rows[0].cells if name not in used]


def _has_label(row: PairRow, column: str, problems: Problems) -> bool:
    if row.cells.get(column):
        return True
    problems.add(row.path, row.row, "empty label")
    return False


def _read(
    found: PairSet, cut: PairCut, label: str | None, problems: Problems, check: Callable[[], None] | None
) -> Iterator[Example]:
    """The rows of which both sides can be read, in their order; of the others the reason is reported."""
    folder = cache_folder() / "labelled-pairs" / _key(found, cut)
    if not is_whole(folder, _FILES):
        with made_in_cache(folder, _FILES, "pairs cannot be kept") as aside:
            _keep(aside, found, cut, check)
    shelves = [
        None if one is None else np.load(folder / f"{name}.npy", mmap_mode="r")
        for name, one in zip(_NAMES, cut.cuts, strict=True)
    ]
    with np.load(folder / "pairs.npz") as saved:
        pairs, digests = saved["pairs"].tolist(), [saved[name].tolist() for name in _NAMES]
    kept = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    for fact, count in kept["notes"].items():
        problems.note(fact, count)
    for number, (row, pair) in enumerate(zip(found.rows, pairs, strict=True)):
        if lost := kept["lost"].get(str(number)):
            problems.add(row.path, row.row, *lost)
            continue
        first, second = sides = [
            str(side) if shelf is None else shelf[place]
            for side, shelf, place in zip((row.first, row.second), shelves, pair, strict=True)
        ]
        known = [of_side[place] for of_side, place in zip(digests, pair, strict=True)]
        media = tuple(digest for digest, shelf in zip(known, shelves, strict=True) if shelf is not None)
        yield Example(
            texts=tuple(side for side in sides if isinstance(side, str)),
            label=row.cells.get(label or ""),
            path=row.path,
            row=row.row,
            digest=_digest_of(known),
            both=Both(first, second, media),
        )


def _key(found: PairSet, cut: PairCut) -> str:
    named = {side.path for row in found.rows for side in (row.first, row.second) if isinstance(side, Place)}
    used = {
        source.path: source for side in found.sides for source in found.media.get(modality_of_side(side), ())
    }
    return store_key(
        labelled_pairs=FORMAT,
        rows=[[row.first, row.second] for row in found.rows],
        files=told_apart([used[path] for path in sorted(named)]),
        cut=[one and one.to_dict() for one in cut.cuts],
    )


def _keep(folder: Path, found: PairSet, cut: PairCut, check: Callable[[], None] | None) -> None:
    """Decode what the rows name: the numbers of both sides of each row, and why others cannot be read."""
    unread = Problems(kept=sys.maxsize)
    with ExitStack() as stack:
        shelves: list[Shelf] = [
            Nowhere() if one is None else stack.enter_context(ArrayFile(folder / f"{name}.npy"))
            for name, one in zip(_NAMES, cut.cuts, strict=True)
        ]
        items = pair_items(found, cut.cuts, unread, check, (shelves[0], shelves[1]))
    numbers = {id(row): pair for row, pair in zip(items.rows, items.pairs.tolist(), strict=True)}
    said = {(problem.path, problem.row): problem for problem in unread.first(unread.total + unread.files)}
    lost = {number: _why(row, said) for number, row in enumerate(found.rows) if id(row) not in numbers}
    told = {path for path, _ in said} - {detail for _, detail in lost.values()}
    notes = Counter(f"file(s) {problem.reason}" for problem in said.values() if problem.path in told)
    pairs = [numbers.get(id(row), (0, 0)) for row in found.rows]
    np.savez(
        folder / "pairs.npz", pairs=np.array(pairs), first=items.first.digests, second=items.second.digests
    )
    kept = {"lost": lost, "notes": notes}
    (folder / "facts.json").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")


def _why(row: PairRow, said: Mapping[tuple[str, int], Problem]) -> tuple[str, str]:
    """What was wrong with a side of a row that cannot be read, and which file it is."""
    places = [side for side in (row.first, row.second) if isinstance(side, Place)]
    for place in places:
        if found := said.get((place.path, place.row)) or said.get((place.path, 0)):
            return found.reason, place.path
    return "cannot be read", places[0].path


def _digest_of(sides: Sequence[int]) -> int:
    """The same for pairs of which both sides are equal."""
    together = np.array(sides, np.int64).tobytes()
    return int.from_bytes(hashlib.blake2b(together, digest_size=8).digest(), "little", signed=True)
