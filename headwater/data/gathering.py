"""Which of the user's documents enter a pool, and on which side."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from headwater.data.examples import Example
from headwater.data.files import Source, find_sources
from headwater.data.kinds import Split
from headwater.data.problems import Problems
from headwater.data.readers import read_documents
from headwater.data.readers.sources import in_parts
from headwater.data.splits import Deduplicator, Fingerprints, HoldOut
from headwater.errors import BadDataError, MissingInputError, UsageError

_TRAIN: tuple[Split | None, ...] = ("train", None)


@dataclass(frozen=True, slots=True)
class Paths:
    """The user's paths sorted by what their names say they are for."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    weights: tuple[float, ...] | None  # of the train paths
    sources: tuple[Source, ...]  # every file that is read
    parts: tuple[int, ...]  # the train path that each of these stands behind; of those that judge −1, −2 …
    passed_over: tuple[Source, ...]  # files named as test parts
    owner: dict[str, int]  # the first train path that each train file stands behind

    @classmethod
    def sort(cls, paths: Sequence[str | Path], weights: Sequence[float] | None) -> "Paths":
        """Files of validation parts (valid, val, dev) judge; files of test parts never enter.

        Where every path is such a file, the user means it: all of them enter. Paths stand as they are given, or with
        ``weights`` in the order of their bytes.
        """
        if not paths:
            raise UsageError("there is nothing to learn from; give at least one file or folder")
        if weights is not None and len(weights) != len(paths):
            raise UsageError(f"{len(paths)} paths but {len(weights)} weights; give one weight a path")
        if weights is not None and len(set(map(Path, paths))) < len(paths):
            raise UsageError("a path is named twice; give each path once, and one weight")
        found = {Path(path): in_parts(find_sources([path])) for path in paths}
        learnt = {path: [s for s in sources if s.split in _TRAIN] for path, sources in found.items()}
        if not any(learnt.values()):
            learnt = {path: _all_named(sources) for path, sources in found.items()}
        judging = {
            path: [s for s in sources if s.split == "validation" and s not in learnt[path]]
            for path, sources in found.items()
        }
        train = tuple(path for path in found if learnt[path])
        if weights is not None:
            # A text of several paths counts for the first: for that of the smallest, which is the user's own.
            train = tuple(sorted(train, key=lambda path: sum(s.size for s in learnt[path])))
        validation = tuple(path for path in found if judging[path])
        part = {path: number for number, path in enumerate(train)}
        judge = {path: -1 - number for number, path in enumerate(validation)}
        read = [(part[path], source) for path in found for source in learnt[path]]
        read += [(judge[path], source) for path in found for source in judging[path]]
        sources = tuple(source for _, source in read)
        weight_of = dict(zip(found, weights or (), strict=False))
        return cls(
            train=train,
            validation=validation,
            weights=None if weights is None else tuple(weight_of[path] for path in train),
            sources=sources,
            parts=tuple(part for part, _ in read),
            passed_over=tuple(s for behind in found.values() for s in behind if s not in sources),
            owner={s.path: number for number, path in reversed([*enumerate(train)]) for s in learnt[path]},
        )

    def told(self, hold_out: Sequence[str | Path]) -> dict[str, Any]:
        """What data.json says of the files, by their names."""
        return {
            "sources": [
                {"path": s.path, "kind": s.kind, "bytes": s.size, "digest": s.digest, "split": s.split}
                for s in self.sources
            ],
            "passed_over": [source.path for source in self.passed_over],
            "hold_out": [str(path) for path in hold_out],
            "train_paths": list(map(str, self.train)),
        }

    def renamed(self, facts: Mapping[str, Any], hold_out: Sequence[str | Path]) -> dict[str, Any]:
        """The facts of the same content, found under other names, with the names that it has now."""
        before = [source["path"] for source in facts["sources"]]
        now = dict(zip(before, (source.path for source in self.sources), strict=True))
        left_out = facts["left_out"]
        first = [{**row, "path": now.get(row["path"], row["path"])} for row in left_out["first"]]
        return {**facts, **self.told(hold_out), "left_out": {**left_out, "first": first}}


def _all_named(sources: Sequence[Source]) -> list[Source]:
    if columns := [source.split_column for source in sources if source.split_column and not source.named]:
        raise MissingInputError(
            f'no row of {sources[0].path} is of the part to learn from by its column "{columns[0]}": expected train '
            "there; rename the column to use all rows"
        )
    if not all(source.named for source in sources):
        raise MissingInputError(
            f"all files found ({', '.join(source.path for source in sources[:3])} …) belong to validation or "
            "test parts by their names, and these never enter the pool; name a file itself to use it all the same"
        )
    return list(sources)


def _read_if_any(path: str | Path, text: Sequence[str] | None) -> Iterator[Example]:
    """Line by line, or these columns; nothing of a file that has them not."""
    with suppress(BadDataError):
        yield from read_documents([path], text=text, problems=Problems(), document="line", splits=None)


@dataclass(slots=True)
class Gathering:
    """One look at the documents: read, held out, deduplicated, in the order of the paths."""

    paths: Paths
    text: Sequence[str] | None
    hold_out: Sequence[str | Path]
    keep_duplicates: bool = False
    unusable: Problems = field(default_factory=Problems)
    repeated: Problems = field(
        default_factory=Problems
    )  # apart: readers refuse a file of mostly unusable rows
    held_out_texts: int = 0

    def validation(self) -> Iterator[Example]:
        """The documents of the files that judge."""
        return self._kept(self._read(self.paths.validation, ("validation",)), self._held_out())

    def train(self, validation: Sequence[str]) -> Iterator[Example]:
        """The documents to learn from: none that is held out or stands in ``validation``."""
        held_out = self._held_out()
        held_out.add_many(validation)
        return self._kept(self._read(self.paths.train, _TRAIN), held_out)

    def _held_out(self) -> Fingerprints:
        fingerprints = Fingerprints()
        if self.hold_out:
            examples = read_documents(self.hold_out, text=None, problems=Problems(), splits=None)
            fingerprints.add_many(example.text for example in examples)
            self.held_out_texts = len(fingerprints)
            fingerprints.add_many(example.text for example in self._otherwise_read())
        return fingerprints

    def _otherwise_read(self) -> Iterator[Example]:
        """The texts behind ``hold_out`` as the pool may hold them: of the columns asked for, and line by line."""
        for path in self.hold_out:
            sources = find_sources(path)
            if any(source.kind == "text" for source in sources):
                yield from _read_if_any(path, None)
            if self.text and any(source.kind != "text" for source in sources):
                yield from _read_if_any(path, self.text)

    def _read(self, paths: Sequence[Path], splits: Sequence[Split | None]) -> Iterator[Example]:
        # One path at a time: what a file is understood to be does not depend on the other paths.
        return chain.from_iterable(
            read_documents([path], text=self.text, problems=self.unusable, splits=splits) for path in paths
        )

    def _kept(self, examples: Iterator[Example], held_out: Fingerprints) -> Iterator[Example]:
        if len(held_out):
            examples = HoldOut(held_out, self.repeated).filter(examples)
        return examples if self.keep_duplicates else Deduplicator(self.repeated).filter(examples)

    @property
    def problems(self) -> Problems:
        """All that was left out: unusable, held out, or there before."""
        together = Problems()
        together.absorb(self.unusable)
        together.absorb(self.repeated)
        return together

    def facts(self) -> dict[str, Any]:
        """What data.json says of the sources and of what was left out."""
        return {
            **self.paths.told(self.hold_out),
            "held_out_texts": self.held_out_texts,
            "left_out": self.problems.to_dict(),
        }
