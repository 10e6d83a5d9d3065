"""From files and folders of pictures to a pool ready for training: decoded once, at the size that is read.

Shape letters: N pictures, H height, W width, K channels.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.data.array_file import ArrayFile
from headwater.data.asides import is_whole, made_in_cache
from headwater.data.cutting import Cut, PictureCut, watched
from headwater.data.files import Source
from headwater.data.likeness import BLOCK, GRID, MOST_APART, Sketch, nearly_equal, sketch_of
from headwater.data.media_tables import find_media
from headwater.data.problems import Problems, place_of
from headwater.data.readers.media import Medium, digest_of
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers.patches import Patches
from headwater.data.splits import split_of
from headwater.data.store import cache_folder, store_key
from headwater.data.tokenizer import Progress
from headwater.errors import BadDataError, MissingInputError

VALIDATION_SHARE = 0.02
DECODED = 3
"""Which numbers are made of a file; another one where a decoder makes others."""
_A_GROUP = 512
_FILES = ("train.npy", "validation.npy", "digests.npy", "places.npy", "facts.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaPool:
    """Everything that unlabelled pictures give to training: (N, H, W, K) in memory-mapped files."""

    train: Pixels
    validation: Pixels
    digests: NDArray[np.int64]  # of the train pictures as they were decoded
    places: NDArray[np.int64]  # of the train pictures: the number of the source, the row; (N, 2)
    sources: Sequence[Source]  # that are learnt from
    patches: Patches
    facts: dict[str, Any]  # for data.json

    def place(self, item: int) -> str:
        """Where a train picture stands in the user's files."""
        source, row = self.places[item].tolist()
        return place_of(self.sources[source].path, row)


def build_media_pool(
    paths: Sequence[str | Path],
    *,
    cut: Cut | None = None,
    hold_out: Sequence[str | Path] = (),
    keep_duplicates: bool = False,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    check: Callable[[], None] | None = None,
) -> MediaPool:
    """Read, hold out, drop repetitions, split, bring to one size; or find all of it in the cache.

    ``cut`` says what becomes of each, and whether they are pictures (the usual) or recordings. Those equal to one
    behind ``hold_out`` or of a validation or test part, and those equal to an earlier one, are left out and counted;
    pictures to learn from also where they nearly equal one that is held out (``nearly_equal``). Files named as
    validation parts judge; without one, two in a hundred do, chosen by content. Those named as test parts never enter.
    The facts say how many came from each path. Raises BadDataError when nothing is left, and what ``check`` raises.
    """
    cut = cut or PictureCut()
    found = Problems()
    sources = find_media(paths, modality=cut.modality, problems=found)
    train, judging = _sorted(sources)
    owners = _owners(paths, cut)
    held_out = [source for source in sources if source.split == "test" and source not in train]
    if held_out:
        found.note(
            f"files of {cut.what} passed over, which belong to test parts by their names", len(held_out)
        )
    held_out += find_media(hold_out, modality=cut.modality) if hold_out else []
    key = store_key(
        pictures=[told_apart(part) for part in (train, judging, held_out)],
        cut=cut.to_dict(),
        validation=[VALIDATION_SHARE, seed],
        duplicates="kept" if keep_duplicates else "dropped",
        likeness=[GRID, MOST_APART],
        decoded=DECODED,
        **({"paths": [list(owners.values()).count(place) for place in range(len(paths))]} if owners else {}),
    )
    folder = _place(key, cache)
    if not is_whole(folder, _FILES):
        build = _Build(train, judging, held_out, owners, cut, keep_duplicates, seed, found, progress, check)
        with made_in_cache(folder, _FILES, "the pool cannot be built") as aside:
            build.into(aside, key)
    return _open(folder, train)


def kept_media_pool(key: str, cache: str | Path | None = None) -> MediaPool | None:
    """The pool of that key, where the cache still has it; it does not know where its pictures lie."""
    folder = _place(key, cache)
    return _open(folder, ()) if is_whole(folder, _FILES) else None


def _place(key: str, cache: str | Path | None) -> Path:
    return (cache_folder() if cache is None else Path(cache)) / "pictures" / key


def _open(folder: Path, sources: Sequence[Source]) -> MediaPool:
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return MediaPool(
        train=np.load(folder / "train.npy", mmap_mode="r"),
        validation=np.load(folder / "validation.npy", mmap_mode="r"),
        digests=np.load(folder / "digests.npy"),
        places=np.load(folder / "places.npy"),
        sources=sources,
        patches=Patches.from_dict(facts["patches"]),
        facts=facts,
    )


def _owners(paths: Sequence[str | Path], cut: Cut) -> dict[str, int]:
    """Which of several paths each source belongs to, the first that holds it; of one path nobody needs to be told."""
    owners: dict[str, int] = {}
    for place, path in enumerate(paths if len(paths) > 1 else ()):
        for source in find_media(path, modality=cut.modality):
            owners.setdefault(source.path, place)
    return owners


def _sorted(sources: list[Source]) -> tuple[list[Source], list[Source]]:
    """What is learnt from and what judges; where every file is of such a part, the user means it."""
    train = [source for source in sources if source.split in ("train", None)]
    judging = [source for source in sources if source.split == "validation"]
    if not train:
        if not all(source.named for source in sources):
            raise MissingInputError(
                f"all {len(sources):,} files found belong to validation or test parts by their names, and these "
                "never enter the pool; name a file itself to use it all the same"
            )
        return sources, []
    return train, judging


def told_apart(sources: Sequence[Source]) -> list[Any]:
    """What tells these sources from others without unpacking them: whole files by content, members by name."""
    files = {source.file: None for source in sources}
    digests = {file: _digest_of_file(file) for file in files}
    return [(source.path, digests[source.file], source.member) for source in sources]


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


class _Learnt(NamedTuple):
    """An array to learn from, and where it came from."""

    digest: int
    pixels: Pixels
    path: str
    row: int


class _Unlike:
    """Writes what does not nearly equal one of the held-out sketches, some arrays at a time."""

    def __init__(self, file: ArrayFile, held_out: Sequence[Sketch]) -> None:
        self._file, self._held_out = file, np.stack(held_out) if held_out else None
        self._waiting: list[_Learnt] = []
        self.offered = 0
        self.digests: list[int] = []
        self.places: list[tuple[str, int]] = []
        self.alike: list[tuple[str, int]] = []

    def offer(self, learnt: _Learnt) -> None:
        """One more that may be learnt from."""
        self.offered += 1
        self._waiting.append(learnt)
        if len(self._waiting) == BLOCK:
            self.settle()

    def settle(self) -> None:
        """Write those that wait, or name them."""
        waiting, self._waiting = self._waiting, []
        near = [False] * len(waiting)
        if self._held_out is not None and waiting:
            sketches = np.stack([sketch_of(learnt.pixels) for learnt in waiting])
            near = nearly_equal(sketches, self._held_out).tolist()
        for learnt, alike in zip(waiting, near, strict=True):
            if alike:
                self.alike.append((learnt.path, learnt.row))
            else:
                self._file.append(learnt.pixels)
                self.digests.append(learnt.digest)
                self.places.append((learnt.path, learnt.row))


@dataclass(slots=True)
class _Build:
    """One pool in the making."""

    train: Sequence[Source]
    judging: Sequence[Source]
    held_out: Sequence[Source]
    owners: Mapping[str, int]
    cut: Cut
    keep_duplicates: bool
    seed: int
    found: Problems
    """What is to be said of the files before any was opened."""
    progress: Progress | None
    check: Callable[[], None] | None

    def into(self, folder: Path, key: str) -> None:
        problems, repeated = Problems(), Problems()
        problems.absorb(self.found)
        cut = self.cut.fitted(self.train, self.check)
        seen, likenesses = self._held_out(cut)
        with ArrayFile(folder / "train.npy") as train, ArrayFile(folder / "validation.npy") as judging:
            for _, medium in self._kept(self.judging, seen, problems, repeated, "judging"):
                for pixels in cut.arrays(medium.content):
                    judging.append(pixels)
                    if cut.modality == "image":
                        likenesses.append(sketch_of(pixels))
            unlike = _Unlike(train, likenesses)
            for digest, medium in self._kept(self.train, seen, problems, repeated, "reading"):
                judges = (
                    not self.judging
                    and unlike.offered
                    and split_of(digest, VALIDATION_SHARE, f"validation {self.seed}")
                )
                for pixels in cut.arrays(medium.content):
                    if judges:
                        judging.append(pixels)
                    else:
                        unlike.offer(_Learnt(digest, pixels, medium.path, medium.row))
            unlike.settle()
            judging.none_like(train)
        for path, row in unlike.alike:
            repeated.add(path, row, f"nearly equals a held-out {cut.what.removesuffix('s')}")
        if not len(train):
            problems.absorb(repeated)
            raise BadDataError(f"no {cut.what.removesuffix('s')} is left to learn from: {problems.summary()}")
        patches = cut.patches(train.mapped())
        np.save(folder / "digests.npy", np.array(unlike.digests, np.int64))
        number = {source.path: place for place, source in enumerate(self.train)}
        places = [(number[path], row) for path, row in unlike.places]
        np.save(folder / "places.npy", np.array(places, np.int64))
        problems.absorb(repeated)
        facts = {
            "key": key,
            "modality": cut.modality,
            "what": cut.what,
            "items": len(train),
            "items_of_paths": self._of_paths(unlike.places),
            "cut": cut.to_dict(),
            "patches": patches.to_dict(),
            "validation": {"items": len(judging), "how": self._how_split()},
            "sources": [
                {"path": path, "files": count} for path, count in _by_place([*self.train, *self.judging])
            ],
            "left_out": problems.to_dict(),
        }
        (folder / "facts.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    def _held_out(self, cut: Cut) -> tuple[set[int], list[Sketch]]:
        """The digests of what is held out, and what pictures among it look like.

        Recordings and clips with one background look alike, and are not.
        """
        digests: set[int] = set()
        likenesses: list[Sketch] = []
        for medium in watched(self.held_out, Problems(), self.check, cut=cut):
            digests.add(digest_of(medium.content))
            if cut.modality == "image":
                likenesses.extend(map(sketch_of, cut.arrays(medium.content)))
        return digests, likenesses

    def _kept(
        self, sources: Sequence[Source], seen: set[int], problems: Problems, repeated: Problems, stage: str
    ) -> Iterator[tuple[int, Medium]]:
        """What was not seen before, each with its digest."""
        held = set(seen)
        for number, medium in enumerate(watched(sources, problems, self.check)):
            if number % _A_GROUP == 0 and self.progress is not None:
                self.progress(f"{stage} {self.cut.what}", number, None)
            digest = digest_of(medium.content)
            if digest in held:
                repeated.add(medium.path, medium.row, f"equals a held-out {self.cut.what.removesuffix('s')}")
            elif digest in seen and not self.keep_duplicates:
                repeated.add(medium.path, medium.row, "exact duplicate")
            else:
                seen.add(digest)
                yield digest, medium

    def _of_paths(self, places: Sequence[tuple[str, int]]) -> list[int]:
        """How many items came from each path; those of a path are neighbours."""
        counts = Counter(self.owners.get(path, 0) for path, _ in places)
        return [counts[place] for place in range(max(self.owners.values(), default=0) + 1)]

    def _how_split(self) -> str:
        if self.judging:
            return "files named as validation parts"
        return f"{VALIDATION_SHARE:.1%} of the {self.cut.what}, by content"


def _by_place(sources: Sequence[Source]) -> list[tuple[str, int]]:
    """Folders and archives, and how many pictures stand in each: one line for thousands of files."""
    places: dict[str, int] = {}
    for source in sources:
        place = str(source.file if source.member else source.file.parent)
        places[place] = places.get(place, 0) + 1
    return list(places.items())
