"""What a run has learnt from, and which other rows are among it.

Shape letters: N pictures, D numbers of a sketch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Example, LabelledSet
from headwater.data.likeness import Sketches, nearly_equal, sketches_of
from headwater.data.readers.pictures import Pixels
from headwater.data.splits import Fingerprints, known_digests
from headwater.errors import HeadwaterError
from headwater.run.folder import RunFolder

TEXTS, DIGESTS, LIKENESS = "fingerprints.arrow", "digests.npy", "likeness.npy"
"""What every run leaves in its folder of what it learnt from, as far as there is such."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """The marks that a run and those it began from have kept of what they learnt from.

    ``texts`` know texts that are equal or nearly so; ``digests`` pictures, recordings and clips as they were decoded;
    ``sketches`` (N, D) pictures of any size or encoding. ``notes`` say of whom nothing is known.
    """

    texts: Sequence[Fingerprints] = ()
    digests: frozenset[int] = field(default_factory=frozenset[int])
    sketches: Sequence[Sketches] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path) -> Self:
        """What the folders of the run and of its parents say."""
        texts: list[Fingerprints] = []
        digests: set[int] = set()
        sketches: list[Sketches] = []
        notes: list[str] = []
        for folder in _line_of(path):
            if (folder / TEXTS).is_file():
                texts.append(Fingerprints.load(folder / TEXTS))
            if (folder / DIGESTS).is_file():
                digests.update(np.load(folder / DIGESTS).tolist())
            if (folder / LIKENESS).is_file():
                sketches.append(np.load(folder / LIKENESS))
            if not any((folder / name).is_file() for name in (TEXTS, DIGESTS, LIKENESS)):
                notes.append(f"what {folder} learnt from is not known: test rows may be among it")
        return cls(texts=texts, digests=frozenset(digests), sketches=sketches, notes=tuple(notes))

    def rows_among(self, test: Sequence[Example]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The numbers of the test rows that were seen as they are, and of those seen in nearly the same form."""
        if not test or (test[0].pixels is None and test[0].both is None):
            found = [known.matches_many([example.text for example in test]) for known in self.texts]
            of_each = list(zip(*found, strict=True))
            exact = tuple(row for row, answers in enumerate(of_each) if "exact" in answers)
            return exact, tuple(row for row, answers in enumerate(of_each) if "near" in answers)
        exact = tuple(
            row for row, example in enumerate(test) if not self.digests.isdisjoint(known_digests(example))
        )
        pictures, rows = _pictures(test)
        if not self.sketches or not pictures:
            return exact, ()
        own = sketches_of(pictures)
        near = np.zeros(len(pictures), np.bool_)
        for known in self.sketches:
            if known.shape[1] == own.shape[1]:  # else of other channels
                near |= nearly_equal(own, known)
        return exact, tuple(np.unique(rows[near]).tolist())


def keep_marks(folder: Path, rows: LabelledSet, texts: Sequence[str]) -> None:
    """Leave in a run's folder what tells later whether a row was among these; ``texts`` are what they say."""
    of_pairs = rows.examples[0].both is not None
    np.save(folder / DIGESTS, _digests(rows.examples))
    if rows.examples[0].pixels is None and rows.examples[0].texts:
        known = Fingerprints()
        known.add_many(texts)
        known.save(folder / TEXTS)
    if of_pairs or (rows.facts.get("cut") or {}).get("modality") == "image":
        pictures, _ = _pictures(rows.examples)
        if pictures:
            np.save(folder / LIKENESS, sketches_of(pictures))


def fine_tuned_on(path: Path, rows: Sequence[Example]) -> int:
    """How many of the rows the run, or one that it began from, has learnt from with their labels."""
    known = [
        np.load(folder / DIGESTS)
        for folder in _line_of(path)
        if (folder / DIGESTS).is_file() and _is_fine_tuned(folder)
    ]
    if not known:
        return 0
    learnt = frozenset(np.concatenate(known).tolist())
    return sum(any(_signed(digest) in learnt for digest in known_digests(row)) for row in rows)


def _digests(rows: Sequence[Example]) -> NDArray[np.int64]:
    """Of texts after folding, of pictures as they were decoded, of pairs both their own and those of what is seen or
    heard in them."""
    return np.array([_signed(digest) for row in rows for digest in known_digests(row)], np.int64)


def _signed(digest: int) -> int:
    """64 bits with a sign, as files hold them."""
    return (digest + (1 << 63)) % (1 << 64) - (1 << 63)


def _pictures(rows: Sequence[Example]) -> tuple[list[Pixels], NDArray[np.int64]]:
    """The pictures in these rows, of pairs those of each side, and the numbers of their rows."""
    found = [
        (picture, number)
        for number, row in enumerate(rows)
        for picture in (
            row.both.pictures if row.both is not None else () if row.pixels is None else (row.pixels,)
        )
    ]
    return [picture for picture, _ in found], np.array([number for _, number in found], np.int64)


def _line_of(path: Path) -> Iterator[Path]:
    """The folder of a run, of the one that it began from, and so on."""
    been: set[Path] = set()
    folder: Path | None = path
    while folder is not None and folder not in been:
        been.add(folder)
        yield folder
        folder = _parent_of(folder)


def _is_fine_tuned(folder: Path) -> bool:
    return RunFolder.open(folder).settings().kind == "finetune"


def _parent_of(folder: Path) -> Path | None:
    """Where the run of a folder began; None where it began with random weights, or is no run."""
    try:
        start = RunFolder.open(folder).settings().start_from
    except HeadwaterError:
        return None
    return None if start is None else Path(start)
