"""What is looked for: a text or a file, as a vector of the side of a run that reads it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headwater.data.cutting import Cut, cut_like
from headwater.data.decoding import flaw
from headwater.data.kinds import KINDS_OF, SIDES
from headwater.data.media_tables import MEDIA
from headwater.data.problems import Problem, Problems
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Sides, Tokenizer, patches_in
from headwater.data.vector_store import unit
from headwater.errors import BadDataError, UsageError
from headwater.models import load_bundle
from headwater.run.fitting import inputs_of
from headwater.run.folder import RunFolder
from headwater.run.named_medium import picture_of
from headwater.run.reading import Reader
from headwater.run.starting import model_folder, sequencer_of


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, its vector of length 1, and what it looks like where it is a picture, recording or clip."""

    asked: str
    vector: NDArray[np.float32]
    pixels: Pixels | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Makes questions for a corpus that ``reader`` reads; of pairs, a question may be of the other side."""

    folder: RunFolder
    reader: Reader
    _others: dict[str, Reader] = field(default_factory=dict[str, Reader])
    _known: list[Sides] = field(default_factory=list[Sides])

    def of(self, query: str) -> Question:
        """The question that a text or the name of a file asks; BadDataError where it cannot be read."""
        reader = self._reader_of(query)
        if isinstance(reader.sequencer, Tokenizer):
            if reason := flaw(query) or (None if query.strip() else "nothing but blanks"):
                raise BadDataError(f"the query holds {reason}; expected a text to look for")
            return Question(query, _vector(reader, (query,)))
        cut: Cut = cut_like(patches_in(reader.sequencer, "this run"))
        try:
            pixels = picture_of(query, cut)
        except BadDataError as problem:
            if reader.tower is not None:
                raise
            raise BadDataError(f"this run finds {cut.what} by the name of one: {problem}") from problem
        return Question(query, _vector(reader, pixels), pixels)

    def each(self, lines: Iterable[str], problems: Problems) -> Iterator[Question | Problem]:
        """A question for each line that is not blank, or the reason why it is none."""
        for number, line in enumerate(lines, 1):
            if not (query := line.strip()):
                continue
            problems.rows += 1
            try:
                yield self.of(query)
            except BadDataError as error:
                problem = Problem("standard input", number, "no question", str(error))
                problems.add(*problem)
                yield problem

    def _sides(self) -> Sides:
        if not self._known:
            sides = sequencer_of(load_bundle(model_folder(self.folder.path)))
            assert isinstance(sides, Sides)
            self._known.append(sides)
        return self._known[0]

    def _reader_of(self, query: str) -> Reader:
        if self.reader.tower is None:
            return self.reader
        sides = self._sides()
        file = Path(query) if _is_file(query) else None
        if file is None and Path(query).suffix.lower() in _ENDINGS:
            raise BadDataError(f"{query} cannot be read: there is no such file")
        if file is None and sides.text is None:
            told = " or ".join(SIDES[kind] for kind in sides.kinds)
            raise BadDataError(f"{query} is no file; this run finds by the name of a file of {told}")
        try:
            key = "" if file is None else file.suffix
            if key not in self._others:
                self._others[key] = Reader.of_run(self.folder, data=file)[0]
        except UsageError as problem:
            raise BadDataError(f"{query}: {problem}") from problem
        return self._others[key]


_ENDINGS = {ending for kind in MEDIA for ending in KINDS_OF[kind]}


def _vector(reader: Reader, content: tuple[str, ...] | Pixels) -> NDArray[np.float32]:
    return unit(reader.vectors(inputs_of([content], reader.sequencer)))[0]


def _is_file(query: str) -> bool:
    try:
        return Path(query).is_file()
    except (OSError, ValueError):  # a long text is no name
        return False
