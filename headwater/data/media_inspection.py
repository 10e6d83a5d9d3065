"""What was understood of the user's media before anything is done with them; writes nothing unless asked."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.data.contact_sheet import SHEET, Thumbnails, draw_sheet
from headwater.data.files import PASSED_OVER, Source, survey
from headwater.data.inspection import shown
from headwater.data.kinds import KINDS, MODALITIES, Modality, PathLike
from headwater.data.media_tables import TABLE_KINDS, find_media, label_column
from headwater.data.pair_rows import Pairing
from headwater.data.pairing import find_pairs
from headwater.data.problems import Problems
from headwater.data.readers.clips import Clip
from headwater.data.readers.columns import listed
from headwater.data.readers.media import Medium, digest_of, read_media
from headwater.data.readers.pictures import Pixels, channels_in_words
from headwater.data.readers.sounds import Recording
from headwater.errors import HeadwaterError, MissingInputError
from headwater.telling import Told

EXAMINED = 20_000
"""Items looked at in each part; of a larger one the report says that it speaks of these."""
_SHOWN_LABELS = 8


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """The media of one part (train, validation, test, or all of them where no name speaks of parts)."""

    split: str | None
    modality: Modality
    files: int
    bytes: int
    items: int
    sampled: bool
    sides: dict[str, tuple[int, int]]  # smallest, middle and largest: width, height
    channels: dict[str, int]
    seconds: dict[str, float]  # shortest, middle and longest
    rates: dict[str, int]
    labels: dict[str, int]
    exact_duplicates: int
    also_in_train: int
    problems: Problems = field(default_factory=Problems)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {**vars(self), "problems": self.problems.to_dict()}

    def lines(self) -> Iterator[str]:
        """A few lines to read."""
        what = MODALITIES[self.modality]
        files = "one file" if self.files == 1 else f"{self.files:,} files"
        yield f"{self.split or what}: {self.items:,} {what} in {files}, {self.bytes:,} bytes"
        if self.sampled:
            yield f"  sampled: all figures are of the first {EXAMINED:,} {what}"
        if self.sides:
            sides = ", ".join(f"{width} × {height} ({name})" for name, (width, height) in self.sides.items())
            yield f"  width × height: {sides}"
            yield "  " + ", ".join(f"{count:,} in {name}" for name, count in self.channels.items())
        if self.seconds:
            seconds = ", ".join(f"{value:.2f} s ({name})" for name, value in self.seconds.items())
            yield f"  length: {seconds}"
            rates = ", ".join(f"{count:,} at {rate}" for rate, count in self.rates.items())
            yield f"  {'samples' if self.modality == 'audio' else 'frames'} a second: {rates}"
        if self.labels:
            counts = ", ".join(
                f"{shown(label)} {n:,}" for label, n in list(self.labels.items())[:_SHOWN_LABELS]
            )
            yield f"  {len(self.labels):,} labels: {counts}{', …' if len(self.labels) > _SHOWN_LABELS else ''}"
        if self.exact_duplicates:
            yield f"  {self.exact_duplicates:,} {what} equal an earlier one of this part"
        if self.also_in_train:
            yield f"  {self.also_in_train:,} {what} equal one of the train part"
        for fact, count in self.problems.notes.items():
            yield f"  {count:,} {shown(fact, 200)}"
        for problem in self.problems.first(5):
            yield f"  {shown(str(problem), 200)}"
        if more := self.problems.total + self.problems.files - 5:
            yield from [f"  and {more:,} more that cannot be read"] * (more > 0)


@dataclass(frozen=True, kw_only=True, repr=False)
class MediaInspection(Told):
    """What lies behind the paths the user gave."""

    parts: tuple[PartReport, ...]
    ignored: dict[str, int]
    columns: tuple[str, ...] = ()
    """What tables beside them say of each."""
    pairs: str | None = None
    sheet: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "parts": [part.to_dict() for part in self.parts],
            "ignored": self.ignored,
            "columns": list(self.columns),
            "pairs": self.pairs,
            "sheet": self.sheet,
        }

    def __str__(self) -> str:
        lines = [line for part in self.parts for line in part.lines()]
        if self.columns:
            lines.append(f"known of each: {listed(self.columns)}")
        if self.pairs:
            lines.append(f"pairs: {self.pairs}")
        if self.ignored:
            passed_over = ", ".join(f"{count:,} {suffix}" for suffix, count in self.ignored.items())
            lines.append(f"passed over: {passed_over}")
        if self.sheet:
            lines.append(f"a contact sheet: {self.sheet}")
        return "\n".join(lines)


def inspect_media(
    paths: PathLike | Iterable[PathLike],
    *,
    modality: Modality = "image",
    label: str | None = None,
    sheet: Path | None = None,
) -> MediaInspection:
    """Look at pictures, recordings or clips and say what was understood: sizes, lengths, labels, what is broken.

    ``sheet`` is where a contact sheet is drawn: of every part a few, of every label in turn; of a recording its
    spectrogram, of a clip its middle frame. Raises MissingInputError where there is nothing to look at, StorageError
    where the sheet cannot be written.
    """
    problems = Problems()
    sources = find_media(paths, modality=modality, problems=problems)
    ignored = _ignored(paths, modality, told=any(source.row for source in sources))
    for note in [note for note in problems.notes if note.startswith(PASSED_OVER)]:
        del problems.notes[note]  # told at the end, with all others
    if several := sum(len(source.more) for source in sources):
        problems.note(
            "further row(s) of files named twice: texts to learn to write, and else left out", several
        )
    label = (label_column(sources, label) or label) if label else None
    columns = tuple(dict.fromkeys(name for source in sources for name in source.row or ()))
    groups: dict[str | None, list[Source]] = {}
    for source in sources:
        groups.setdefault(source.split, []).append(source)
    ordered = sorted(groups.items(), key=lambda group: ("train", "validation", "test", None).index(group[0]))
    parts: list[PartReport] = []
    drawn: list[Pixels] = []
    train: set[int] = set()
    for split, sources in ordered:
        look = _Look(modality, train)
        report = look.at(split, sources, label)
        train |= look.digests if split == "train" else set()
        parts.append(report)
        drawn += look.thumbnails.mixed(SHEET // len(ordered))
    parts[0].problems.absorb(problems)
    if sheet is not None:
        draw_sheet(drawn, sheet)
    return MediaInspection(
        parts=tuple(parts),
        ignored=ignored,
        columns=columns,
        pairs=_pairs(paths),
        sheet=None if sheet is None else str(sheet),
    )


def _pairs(paths: PathLike | Iterable[PathLike]) -> str | None:
    """What belongs together, in words; None where nothing does but a clip and its own movement."""
    try:
        found = find_pairs(paths, Pairing())
    except HeadwaterError:
        return None
    return None if "flow" in found.sides else f"{len(found.rows):,}, {found.how}"


def _ignored(paths: PathLike | Iterable[PathLike], modality: Modality, *, told: bool) -> dict[str, int]:
    """Files by suffix that are none of this modality; tables are not, where they told of the others."""
    try:
        ignored = survey(paths, modality=modality).ignored
    except MissingInputError:  # a table alone was named
        return {}
    return {
        suffix: count
        for suffix, count in ignored.most_common()
        if not told or KINDS.get(suffix) not in TABLE_KINDS
    }


class _Look:
    """One pass over what a part holds."""

    def __init__(self, modality: Modality, train: set[int]) -> None:
        self.modality: Modality = modality
        self.train = train
        self.items = 0
        self.digests: set[int] = set()
        self.seconds: list[float] = []
        self.rates: Counter[str] = Counter()
        self.sizes: list[tuple[int, int]] = []
        self.channels: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.repeated = self.in_train = 0
        self.thumbnails = Thumbnails()

    def at(self, split: str | None, sources: list[Source], label: str | None) -> PartReport:
        problems = Problems()
        sampled = False
        for medium in read_media(sources, problems, label=label):
            if self.items == EXAMINED:
                sampled = True
                break
            self._see(medium)
        return PartReport(
            split=split,
            modality=self.modality,
            files=len(sources),
            bytes=sum(source.size for source in sources),
            items=self.items,
            sampled=sampled,
            sides=_three(self.sizes),
            channels=dict(self.channels.most_common()),
            seconds=_three_lengths(self.seconds),
            rates=dict(self.rates.most_common(_SHOWN_LABELS)),
            labels=dict(self.labels.most_common()) if len(self.labels) > 1 else {},
            exact_duplicates=self.repeated,
            also_in_train=self.in_train,
            problems=problems,
        )

    def _see(self, medium: Medium) -> None:
        self.items += 1
        content = medium.content
        match content:
            case Recording():
                self._time(len(content.samples), content.rate)
            case Clip():
                self._time(len(content.frames), content.rate)
                self._size(content.frames.shape[1:])
            case _:
                self._size(content.shape)
        if medium.label is not None:
            self.labels[medium.label] += 1
        digest = digest_of(content)
        self.repeated += digest in self.digests
        self.in_train += digest in self.train
        self.digests.add(digest)
        self.thumbnails.offer(medium.label, content)

    def _time(self, count: int, rate: float | None) -> None:
        if rate is not None:
            self.seconds.append(count / rate)
            self.rates[f"{round(rate, 2):,g}"] += 1

    def _size(self, shape: tuple[int, ...]) -> None:
        height, width, channels = shape
        self.sizes.append((width, height))
        self.channels[channels_in_words(channels)] += 1


def _three_lengths(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    return {"shortest": ordered[0], "middle": ordered[len(ordered) // 2], "longest": ordered[-1]}


def _three(sizes: list[tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The smallest, the middle and the largest by area; one where all are the same."""
    if not sizes:
        return {}
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    if ordered[0] == ordered[-1] and len(set(ordered)) == 1:
        return {"all": ordered[0]}
    return {"smallest": ordered[0], "middle": ordered[len(ordered) // 2], "largest": ordered[-1]}
