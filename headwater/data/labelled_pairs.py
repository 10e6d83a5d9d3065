"""Labelled pairs: rows of a table of which both sides are read, decoded once and kept beside their labels."""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from headwater.data.array_file import ArrayFile
from headwater.data.asides import is_whole, made_in_cache
from headwater.data.cutting import Cut, watched
from headwater.data.examples import Both, Example, LabelledSet, Thing
from headwater.data.files import Source
from headwater.data.kinds import PathLike, Side, Split
from headwater.data.media_pool import DECODED, told_apart
from headwater.data.pair_cut import PairCut
from headwater.data.pair_rows import PairRow, PairSet, Place, Ref
from headwater.data.pairing import find_pairs
from headwater.data.problems import KEPT_PER_REASON, Problems
from headwater.data.readers.columns import LABEL_NAMES, LabelKind, listed
from headwater.data.readers.labelled import refuse_quantities, with_numbers
from headwater.data.readers.media import digest_of
from headwater.data.readers.pictures import Pixels
from headwater.data.splits import text_digest
from headwater.data.store import cache_folder, store_key
from headwater.errors import BadDataError, MissingInputError

FORMAT = 1
_FILES = ("facts.json", "things.npy")


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
    if not every_part:
        found = found.having(_of_split(found.rows, split, path, problems))
    column = _label_of(found, label, path) if need_labels else None
    if column is not None:
        found = found.having([row for row in found.rows if _has_label(row, column, problems)])
    if not found.rows:
        raise BadDataError(f"{path}: no row can be used; {problems.summary()}")
    cut = cut.fitted(found, check)
    read = _read(found, cut, column, problems, check)
    if not (usable := list(with_numbers(read, problems) if labels == "number" and column else read)):
        raise BadDataError(f"{path}: no row can be used; {problems.summary()}")
    if labels == "class" and column is not None:
        refuse_quantities(usable, column, str(path))
    return LabelledSet(
        examples=usable,
        text_columns=cut.text,
        label_column=column,
        problems=problems,
        facts={"cut": cut.to_dict(), "labels_in": "column", "not_read": _not_read(found, column)},
    )


def _of_split(
    rows: Sequence[PairRow], split: Split | None, path: PathLike, problems: Problems
) -> list[PairRow]:
    """The rows of one part; all of them where a file was named that is of one, or where nothing speaks of parts."""
    parts = {row.split for row in rows}
    if len(parts) == 1 and (parts == {None} or Path(path).is_file()):
        return list(rows)
    chosen = [row for row in rows if row.split == split]
    if not chosen:
        there = ", ".join(sorted(part for part in parts if part)) or "none"
        raise MissingInputError(
            f"no {split} part in {path}; parts found by name or column: {there}; name a file that holds it"
            + (f"; {problems.summary()}" if problems.total else "")
        )
    return chosen


def _label_of(found: PairSet, wanted: str | None, path: PathLike) -> str:
    """The column of the labels: the one that was asked for, one with a label's name, or the only one that is left.

    Raises BadDataError where there is none, where several might be meant, or where a side stands in it.
    """
    columns = list(found.rows[0].cells)
    if not columns:
        raise BadDataError(
            f"{path}: these pairs stand in no table ({found.how}), so that nothing says what they are; give a table "
            "that names both sides and holds a label"
        )
    rest = _not_read(found, None)
    if wanted is not None and wanted not in rest:
        if wanted in columns:
            raise BadDataError(
                f'{path}: column "{wanted}" cannot be read and be the label at once ({found.how})'
            )
        raise BadDataError(f'{path}: there is no column "{wanted}"; the columns are {listed(columns)}')
    if wanted is not None:
        return wanted
    named = [name for known in LABEL_NAMES for name in rest if name.casefold() == known]
    if named or len(rest) == 1:
        return (named or rest)[0]
    left = f"{listed(rest)} are known of each pair" if rest else f"no column is left ({found.how})"
    raise BadDataError(f"{path}: {left}; say which of the columns is the label with --label")


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
    first, second = sides = [_side_of(found, number, cut, problems, check) for number in (0, 1)]
    for row in found.rows:
        refs = (row.first, row.second)
        if reason := next(
            filter(None, (side.why_not(ref) for side, ref in zip(sides, refs, strict=True))), None
        ):
            problems.add(row.path, row.row, *reason)
            continue
        digests = [side.digest(ref) for side, ref in zip(sides, refs, strict=True)]
        yield Example(
            texts=tuple(ref for ref in refs if isinstance(ref, str)),
            label=row.cells.get(label or ""),
            path=row.path,
            row=row.row,
            digest=_digest_of(digests),
            both=Both(
                first.thing(row.first),
                second.thing(row.second),
                tuple(digest for digest, ref in zip(digests, refs, strict=True) if not isinstance(ref, str)),
                tuple(first.pictures(row.first)) + tuple(second.pictures(row.second)),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    """The things of one side: texts as they are, all else as arrays that were decoded once."""

    kind: Side
    numbers: Mapping[Place, int] = field(default_factory=dict[Place, int])
    digests: Sequence[int] = ()
    pixels: Pixels | None = None
    lost: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def why_not(self, ref: Ref) -> tuple[str, str] | None:
        """The reason why it cannot be read, and the file; None where it can."""
        if isinstance(ref, str) or ref in self.numbers:
            return None
        return (
            self.lost.get(f"{ref.path} {ref.row}")
            or self.lost.get(f"{ref.path} 0")
            or ("cannot be read", ref.path)
        )

    def digest(self, ref: Ref) -> int:
        """What tells it from others."""
        if isinstance(ref, str):
            return int(np.uint64(text_digest(ref)).astype(np.int64))
        return self.digests[self.numbers[ref]]

    def thing(self, ref: Ref) -> Thing:
        """What is read of it."""
        if isinstance(ref, str):
            return ref
        assert self.pixels is not None
        return self.pixels[self.numbers[ref]]

    def pictures(self, ref: Ref) -> Iterator[Pixels]:
        """It, if it is a picture."""
        if self.kind == "image" and not isinstance(ref, str) and self.pixels is not None:
            yield self.pixels[self.numbers[ref]]


def _side_of(
    found: PairSet, number: int, cut: PairCut, problems: Problems, check: Callable[[], None] | None
) -> _Kept:
    """One side, from the cache where it was decoded before: what is said of it has no part in that."""
    kind, own = found.sides[number], cut.cuts[number]
    if own is None:
        return _Kept(kind)
    refs = (row[number] for row in found.rows)
    wanted = list(dict.fromkeys(ref for ref in refs if isinstance(ref, Place)))
    sources = found.sources(number)
    key = store_key(
        things=FORMAT, decoded=DECODED, places=wanted, files=told_apart(sources), cut=own.to_dict()
    )
    folder = cache_folder() / "labelled-things" / key
    if not is_whole(folder, _FILES):
        with made_in_cache(folder, _FILES, "pictures cannot be kept") as aside:
            _keep(aside, {*wanted}, sources, own, check)
    kept = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    for fact, count in kept["notes"].items():
        problems.note(fact, count)
    return _Kept(
        kind,
        {Place(*place): item for item, place in enumerate(kept["places"])},
        kept["digests"],
        np.load(folder / "things.npy", mmap_mode="r") if kept["places"] else None,
        {name: (reason, path) for name, (reason, path) in kept["lost"].items()},
    )


def _keep(
    folder: Path,
    wanted: Collection[Place],
    sources: Sequence[Source],
    cut: Cut,
    check: Callable[[], None] | None,
) -> None:
    """Decode what rows name: arrays, where each stands, why others cannot be read."""
    unread, places, digests = Problems(kept=sys.maxsize), list[Place](), list[int]()
    with ArrayFile(folder / "things.npy") as things:
        for medium in watched(sources, unread, check, cut=cut):
            place = Place(medium.path, medium.row)
            if place in wanted:
                things.append(cut.array(medium.content))
                places.append(place)
                digests.append(digest_of(medium.content))
    read = {place.path for place in places}
    said = unread.first(unread.total + unread.files)
    kept = {
        "places": places,
        "digests": digests,
        "lost": {f"{problem.path} {problem.row}": (problem.reason, problem.path) for problem in said},
        "notes": Counter(
            f"file(s) {problem.reason}" for problem in said if not problem.row and problem.path in read
        ),
    }
    (folder / "facts.json").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")


def _digest_of(sides: Sequence[int]) -> int:
    """The same for pairs of which both sides are equal."""
    together = np.array(sides, np.int64).tobytes()
    return int.from_bytes(hashlib.blake2b(together, digest_size=8).digest(), "little", signed=True)
