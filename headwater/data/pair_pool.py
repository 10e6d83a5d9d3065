"""From pairs of files, or tables that name them, to a pool ready for training: each thing decoded once.

Shape letters: N items, M pairs, H height, W width, K channels.
"""

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from headwater.data.array_file import ArrayFile, Chosen
from headwater.data.asides import is_whole, made_in_cache
from headwater.data.cutting import Cut, cut_of
from headwater.data.kinds import Side
from headwater.data.media_pool import VALIDATION_SHARE, told_apart
from headwater.data.pair_items import Cuts, Items, Nowhere, PairItems, Shelf, pair_items
from headwater.data.pair_rows import Pairing, PairRow, PairSet, modality_of_side
from headwater.data.pairing import find_pairs
from headwater.data.pool import vocabulary_size_for
from headwater.data.problems import Problems, place_of
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, Sides, Tokenizer
from headwater.data.splits import split_of
from headwater.data.store import cache_folder, store_key
from headwater.data.tokenizer import Progress
from headwater.errors import BadDataError

FORMAT = 3
_FILES = ("facts.json", "pairs.npz", "rows.npy")
_NAMES = ("first", "second")
_VOCABULARY = "tokenizer.json"
SideItems = Pixels | Sequence[str]
"""The things of one side: arrays (N, H, W, K), or texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairPool:
    """Everything that pairs give to training."""

    items: tuple[SideItems, SideItems]
    train: NDArray[np.int64]  # (M, 2)
    validation: NDArray[np.int64]
    digests: NDArray[
        np.int64
    ]  # of the pictures, recordings and clips of the train pairs as they were decoded
    rows: Sequence[PairRow]  # that the train pairs are of
    sides: Sides
    facts: dict[str, Any]  # for data.json

    def place(self, pair: int) -> str:
        """Where it is said that a train pair belongs together."""
        return place_of(self.rows[pair].path, self.rows[pair].row)


@dataclass(frozen=True, slots=True)
class PairReading:
    """How pairs are found, how each side is cut, and how a model has read both before, if one has."""

    pairing: Pairing
    cuts: Callable[[tuple[Side, Side]], Cuts]
    sides: Sides | None = None


def build_pair_pool(
    paths: Sequence[str | Path],
    *,
    reading: PairReading,
    hold_out: Sequence[str | Path] = (),
    vocabulary_size: int | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    check: Callable[[], None] | None = None,
) -> PairPool:
    """Find the pairs, hold out, split, decode, learn the vocabulary of texts; or find all of it in the cache.

    Pairs that equal an earlier one are left out, and those with a picture, recording or clip of a pair behind
    ``hold_out``, or of a pair that belongs to a test part. Pairs of validation parts judge; without one, two in a
    hundred do, chosen by content.
    """
    problems = Problems()
    found = find_pairs(paths, reading.pairing, problems=problems)
    train, judging, held_out = _parted(found, paths)
    never = [found.having(held_out)]
    if hold_out:
        never.append(find_pairs(hold_out, replace(reading.pairing, sides=found.sides), among=paths))
        held = [Path(path) for path in hold_out]
        train = [row for row in train if not any(Path(row.path).is_relative_to(path) for path in held)]
    asked, sides = reading.cuts(found.sides), reading.sides
    files = {
        source.path: source
        for pairs in (found, *never)
        for kind in found.sides
        for source in pairs.media.get(modality_of_side(kind), ())
    }
    key = store_key(
        pairs=[
            FORMAT,
            *(list(map(_told, rows)) for rows in (train, judging, *(pairs.rows for pairs in never))),
        ],
        files=told_apart(list(files.values())),
        sides=found.sides,
        cuts=[cut and cut.to_dict() for cut in asked],
        vocabulary=sides.digest if sides else vocabulary_size,
        validation=[VALIDATION_SHARE, seed],
    )
    folder = (cache_folder() if cache is None else Path(cache)) / "pairs" / key
    if not is_whole(folder, _FILES):
        build = _Build(found, train, judging, never, asked, sides, vocabulary_size, seed, progress, check)
        with made_in_cache(folder, _FILES, "the pool cannot be built") as aside:
            build.into(aside, key, problems)
    return _open(folder, sides, train)


def _told(row: PairRow) -> list[Any]:
    return [row.first, row.second]


def _parted(
    found: PairSet, paths: Sequence[str | Path]
) -> tuple[list[PairRow], list[PairRow], list[PairRow]]:
    """Pairs to learn from, to judge on, and never to be seen; a file that is named itself is learnt from."""
    named = {Path(path) for path in paths}
    means = lambda row: Path(row.path) in named  # noqa: E731
    train = [row for row in found.rows if row.split in ("train", None) or means(row)]
    judging = [row for row in found.rows if row.split == "validation" and not means(row)]
    held_out = [row for row in found.rows if row.split == "test" and not means(row)]
    if not train:
        raise BadDataError(
            f"all {len(found.rows):,} pairs belong to validation or test parts by their names; name a file itself to "
            "learn from it all the same"
        )
    return train, judging, held_out


@dataclass(slots=True)
class _Build:
    """One pool in the making."""

    found: PairSet
    train: list[PairRow]
    judging: list[PairRow]
    never: list[PairSet]
    cuts: Cuts
    sides: Sides | None
    vocabulary_size: int | None
    seed: int
    progress: Progress | None
    check: Callable[[], None] | None

    def into(self, folder: Path, key: str, problems: Problems) -> None:
        learnt = self.found.having(self.train)
        cuts = cast(
            Cuts,
            tuple(cut and cut.fitted(learnt.sources(side), self.check) for side, cut in enumerate(self.cuts)),
        )
        if self.progress is not None:
            self.progress("reading pairs", 0, None)
        found = self.found.having([*self.train, *self.judging])
        with _shelf(folder, 0, cuts) as first, _shelf(folder, 1, cuts) as second:
            items = pair_items(found, cuts, problems, self.check, (first, second))
        unread, nowhere = Problems(), (Nowhere(), Nowhere())
        held = [pair_items(pairs, cuts, unread, self.check, nowhere) for pairs in self.never if pairs.rows]
        if self.never[1:] and not len(held[-1].pairs):
            raise BadDataError(f"none of the held-out pairs can be read: {unread.summary()}")
        train, validation, rows = self._split(items, held, problems)
        if not len(train):
            raise BadDataError(f"no pair is left to learn from: {problems.summary()}")
        both = (items.first, items.second)
        facts: list[dict[str, Any]] = []
        for name, side, cut, column in zip(_NAMES, both, cuts, train.T, strict=True):
            facts.append(self._keep(folder, name, side, cut, np.unique(column)))
        digests = np.concatenate(
            [side.digests[train[:, place]] for place, side in enumerate(both) if cuts[place] is not None]
        )
        np.savez(folder / "pairs.npz", train=train, validation=validation, digests=np.unique(digests))
        np.save(folder / "rows.npy", rows)
        kept = {
            "key": key,
            "what": "pairs",
            "sides": list(self.found.sides),
            "how": self.found.how,
            "items": len(train),
            "cuts": [cut and cut.to_dict() for cut in cuts],
            "patches": [fact.get("patches") for fact in facts],
            "distinct": [len(np.unique(column)) for column in train.T],
            "validation": {
                "items": len(validation),
                "how": "parts named so"
                if self.judging
                else f"{VALIDATION_SHARE:.1%} of the pairs, by content",
            },
            "left_out": problems.to_dict(),
        }
        (folder / "facts.json").write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")

    def _split(
        self, items: PairItems, held: Sequence[PairItems], problems: Problems
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Which pairs are learnt from and which judge, and the number of the row of each that is learnt from."""
        media = [place for place, cut in enumerate(self.cuts) if cut is not None]
        never = {
            digest
            for pairs in held
            for place in media
            for digest in (pairs.first, pairs.second)[place].digests.tolist()
        }
        judging = {id(row) for row in self.judging}
        judged = {
            int((items.first, items.second)[place].digests[int(pair[place])])
            for row, pair in zip(items.rows, items.pairs.tolist(), strict=True)
            if id(row) in judging
            for place in media
        }
        apart = never | judged
        seen: set[tuple[int, int]] = set()
        parts: tuple[list[list[int]], list[list[int]]] = ([], [])
        number = {id(row): place for place, row in enumerate(self.train)}
        learnt: list[int] = []
        for row, pair in zip(items.rows, items.pairs.tolist(), strict=True):
            digests = (int(items.first.digests[pair[0]]), int(items.second.digests[pair[1]]))
            kept_out = never if id(row) in judging else apart
            if any(digests[place] in kept_out for place in media):
                problems.add(row.path, row.row, "belongs to a held-out pair")
            elif digests in seen:
                problems.add(row.path, row.row, "exact duplicate")
            else:
                seen.add(digests)
                by_content = not judging and split_of(
                    digests[media[0]], VALIDATION_SHARE, f"validation {self.seed}"
                )
                judges = id(row) in judging or by_content
                parts[judges].append(pair)
                if not judges:
                    learnt.append(number[id(row)])
        train, validation = (np.array(part, np.int64).reshape(-1, 2) for part in parts)
        return train, validation, np.array(learnt, np.int64)

    def _keep(
        self, folder: Path, name: str, side: Items, cut: Cut | None, learnt: NDArray[np.int64]
    ) -> dict[str, Any]:
        """One side on the disk, and what was measured of it."""
        if cut is None:
            texts = [str(text) for text in side.contents]
            (folder / f"{name}.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
            if self.sides is None:
                some = [texts[number] for number in learnt.tolist()]
                size = self.vocabulary_size or vocabulary_size_for(sum(map(len, some)))
                Tokenizer.learn_for_pairs(some, size, self.progress).save(folder / _VOCABULARY)
            return {}
        pixels = np.load(folder / f"{name}.npy", mmap_mode="r")
        return {"patches": cut.patches(Chosen(pixels, learnt)).to_dict()}


@contextmanager
def _shelf(folder: Path, side: int, cuts: Cuts) -> Generator[Shelf]:
    """The file of a side; of texts there is none."""
    if cuts[side] is None:
        yield Nowhere()
        return
    with ArrayFile(folder / f"{_NAMES[side]}.npy") as file:
        yield file


def _open(folder: Path, sides: Sides | None, rows: Sequence[PairRow]) -> PairPool:
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    items: list[SideItems] = []
    ways: list[Patches | Tokenizer] = []
    for name, cut, patches in zip(_NAMES, facts["cuts"], facts["patches"], strict=True):
        if cut is None:
            items.append(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
            if sides is None:
                ways.append(Tokenizer.load(folder / _VOCABULARY))
        else:
            items.append(np.load(folder / f"{name}.npy", mmap_mode="r"))
            if sides is None:
                ways.append(Patches.from_dict(patches))
    with np.load(folder / "pairs.npz") as kept:
        train, validation, digests = kept["train"], kept["validation"], kept["digests"]
    return PairPool(
        items=(items[0], items[1]),
        train=train,
        validation=validation,
        digests=digests,
        rows=[rows[number] for number in np.load(folder / "rows.npy").tolist()],
        sides=sides or Sides(ways[0], ways[1]),
        facts=facts,
    )


def told_of(facts: dict[str, Any]) -> str:
    """What the sides are, and how they are cut, in words."""
    cuts = [None if cut is None else cut_of(cut).told() for cut in facts["cuts"]]
    counts = [
        f"{count:,} distinct {side}" for side, count in zip(facts["sides"], facts["distinct"], strict=True)
    ]
    return "; ".join(f"{count}{f' ({cut})' if cut else ''}" for count, cut in zip(counts, cuts, strict=True))
