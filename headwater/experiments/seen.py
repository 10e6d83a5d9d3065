"""What a run has seen in pre-training, and which test rows are among it.

Shape letters: N pictures, D numbers of a sketch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from headwater.data.examples import Example
from headwater.data.likeness import Sketches, nearly_equal, sketches_of
from headwater.data.splits import Fingerprints, content_digest
from headwater.errors import HeadwaterError
from headwater.run.folder import RunFolder


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
        been: set[Path] = set()
        folder: Path | None = path
        while folder is not None and folder not in been:
            been.add(folder)
            marks = {name: folder / name for name in ("fingerprints.arrow", "digests.npy", "likeness.npy")}
            if marks["fingerprints.arrow"].is_file():
                texts.append(Fingerprints.load(marks["fingerprints.arrow"]))
            if marks["digests.npy"].is_file():
                digests.update(np.load(marks["digests.npy"]).tolist())
            if marks["likeness.npy"].is_file():
                sketches.append(np.load(marks["likeness.npy"]))
            if not any(mark.is_file() for mark in marks.values()):
                notes.append(f"what {folder} learnt from is not known: test rows may be among it")
            folder = _parent_of(folder)
        return cls(texts=texts, digests=frozenset(digests), sketches=sketches, notes=tuple(notes))

    def rows_among(self, test: Sequence[Example]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The numbers of the test rows that were seen as they are, and of those seen in nearly the same form."""
        if not test or test[0].pixels is None:
            found = [known.matches_many([example.text for example in test]) for known in self.texts]
            of_each = list(zip(*found, strict=True))
            exact = tuple(row for row, answers in enumerate(of_each) if "exact" in answers)
            return exact, tuple(row for row, answers in enumerate(of_each) if "near" in answers)
        exact = tuple(row for row, example in enumerate(test) if content_digest(example) in self.digests)
        if not self.sketches:
            return exact, ()
        own = sketches_of([example.pixels for example in test if example.pixels is not None])
        near = np.zeros(len(test), np.bool_)
        for known in self.sketches:
            if known.shape[1] == own.shape[1]:  # else of other channels
                near |= nearly_equal(own, known)
        return exact, tuple(np.flatnonzero(near).tolist())


def _parent_of(folder: Path) -> Path | None:
    """Where the run of a folder began; None where it began with random weights, or is no run."""
    try:
        start = RunFolder.open(folder).settings().start_from
    except HeadwaterError:
        return None
    return None if start is None else Path(start)
