"""What was understood of the user's pictures before anything is done with them; writes nothing unless asked."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headwater.data.files import PathLike, Source, survey
from headwater.data.inspection import shown
from headwater.data.problems import Problems
from headwater.data.readers.pictures import Picture, Pixels, read_pictures
from headwater.errors import StorageError

EXAMINED = 20_000
"""Pictures looked at in each part; of a larger one the report says that it speaks of these."""
SHEET = 64
"""Pictures on a contact sheet."""
_THUMBNAIL = 96
_GAP = 4
_SHOWN_LABELS = 8


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """The pictures of one part (train, validation, test, or all of them where no name speaks of parts)."""

    split: str | None
    files: int
    bytes: int
    pictures: int
    sampled: bool
    sides: dict[str, tuple[int, int]]  # smallest, middle and largest: width, height
    channels: dict[str, int]
    labels: dict[str, int]
    exact_duplicates: int
    also_in_train: int
    problems: Problems = field(default_factory=Problems)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {**vars(self), "problems": self.problems.to_dict()}

    def lines(self) -> Iterator[str]:
        """A few lines to read."""
        yield f"{self.split or 'pictures'}: {self.pictures:,} pictures in {self.files:,} files, {self.bytes:,} bytes"
        if self.sampled:
            yield f"  sampled: all figures are of the first {EXAMINED:,} pictures"
        if self.sides:
            sides = ", ".join(f"{width} × {height} ({name})" for name, (width, height) in self.sides.items())
            yield f"  width × height: {sides}"
            yield "  " + ", ".join(f"{count:,} in {name}" for name, count in self.channels.items())
        if self.labels:
            counts = ", ".join(
                f"{shown(label)} {n:,}" for label, n in list(self.labels.items())[:_SHOWN_LABELS]
            )
            yield f"  {len(self.labels):,} labels: {counts}{', …' if len(self.labels) > _SHOWN_LABELS else ''}"
        if self.exact_duplicates:
            yield f"  {self.exact_duplicates:,} pictures equal an earlier one of this part"
        if self.also_in_train:
            yield f"  {self.also_in_train:,} pictures equal one of the train part"
        for problem in self.problems.first(5):
            yield f"  {shown(str(problem), 200)}"
        if more := self.problems.total + self.problems.files - 5:
            yield from [f"  and {more:,} more that cannot be read"] * (more > 0)


@dataclass(frozen=True, kw_only=True)
class PictureInspection:
    """What lies behind the paths the user gave."""

    parts: tuple[PartReport, ...]
    ignored: dict[str, int]
    sheet: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return {
            "parts": [part.to_dict() for part in self.parts],
            "ignored": self.ignored,
            "sheet": self.sheet,
        }

    def __str__(self) -> str:
        lines = [line for part in self.parts for line in part.lines()]
        if self.ignored:
            passed_over = ", ".join(f"{count:,} {suffix}" for suffix, count in self.ignored.items())
            lines.append(f"passed over: {passed_over}")
        if self.sheet:
            lines.append(f"a contact sheet: {self.sheet}")
        return "\n".join(lines)


def inspect_pictures(
    paths: PathLike | Iterable[PathLike], *, label: str | None = None, sheet: Path | None = None
) -> PictureInspection:
    """Look at pictures and say what was understood: sizes, channels, labels, repetitions, what is broken.

    ``sheet`` is where a contact sheet is drawn: of every part a few pictures, of every label in turn. Raises
    MissingInputError where there is nothing to look at, StorageError where the sheet cannot be written.
    """
    problems = Problems()
    found = survey(paths, modality="image", problems=problems)
    groups: dict[str | None, list[Source]] = {}
    for source in found.sources:
        groups.setdefault(source.split, []).append(source)
    ordered = sorted(groups.items(), key=lambda group: ("train", "validation", "test", None).index(group[0]))
    parts: list[PartReport] = []
    drawn: list[Pixels] = []
    train: set[bytes] = set()
    for split, sources in ordered:
        look = _Look(train)
        report = look.at(split, sources, label)
        train |= look.digests if split == "train" else set()
        parts.append(report)
        drawn += look.mixed(SHEET // len(ordered))
    parts[0].problems.absorb(problems)
    if sheet is not None:
        _draw(drawn, sheet)
    return PictureInspection(
        parts=tuple(parts),
        ignored=dict(found.ignored.most_common()),
        sheet=None if sheet is None else str(sheet),
    )


class _Look:
    """One pass over the pictures of a part."""

    def __init__(self, train: set[bytes]) -> None:
        self.train = train
        self.digests: set[bytes] = set()
        self.sizes: list[tuple[int, int]] = []
        self.channels: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.repeated = self.in_train = 0
        self.first_of: dict[str | None, list[Pixels]] = {}

    def at(self, split: str | None, sources: list[Source], label: str | None) -> PartReport:
        problems = Problems()
        pictures = read_pictures(sources, problems, label=label)
        sampled = False
        for picture in pictures:
            if len(self.sizes) == EXAMINED:
                sampled = True
                break
            self._see(picture)
        return PartReport(
            split=split,
            files=len(sources),
            bytes=sum(source.size for source in sources),
            pictures=len(self.sizes),
            sampled=sampled,
            sides=_three(self.sizes),
            channels=dict(self.channels.most_common()),
            labels=dict(self.labels.most_common()),
            exact_duplicates=self.repeated,
            also_in_train=self.in_train,
            problems=problems,
        )

    def mixed(self, most: int) -> list[Pixels]:
        """The first pictures of each label in turn."""
        turns = max(map(len, self.first_of.values()), default=0)
        rounds = ([row[turn] for row in self.first_of.values() if turn < len(row)] for turn in range(turns))
        return [pixels for found in rounds for pixels in found][:most]

    def _see(self, picture: Picture) -> None:
        height, width, channels = picture.pixels.shape
        self.sizes.append((width, height))
        self.channels["grey" if channels == 1 else "colour"] += 1
        if picture.label is not None:
            self.labels[picture.label] += 1
        digest = hashlib.blake2b(
            picture.pixels.tobytes(), digest_size=16, key=f"{width}x{height}".encode()
        ).digest()
        self.repeated += digest in self.digests
        self.in_train += digest in self.train
        self.digests.add(digest)
        first = self.first_of.setdefault(picture.label, [])
        if len(first) < SHEET:
            first.append(_thumbnail(picture.pixels))


def _three(sizes: list[tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The smallest, the middle and the largest by area; one where all are the same."""
    if not sizes:
        return {}
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    if ordered[0] == ordered[-1] and len(set(ordered)) == 1:
        return {"all": ordered[0]}
    return {"smallest": ordered[0], "middle": ordered[len(ordered) // 2], "largest": ordered[-1]}


def _thumbnail(pixels: Pixels) -> Pixels:
    image = _image(pixels)
    scale = _THUMBNAIL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    smooth = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return np.asarray(image.convert("RGB").resize(size, smooth))


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _draw(pictures: list[Pixels], path: Path) -> None:
    """The pictures side by side, about as many in a row as there are rows."""
    columns = max(1, int(np.ceil(np.sqrt(len(pictures)))))
    rows = max(1, -(-len(pictures) // columns))
    step = _THUMBNAIL + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, rows * step + _GAP), "white")
    for number, pixels in enumerate(pictures):
        row, column = divmod(number, columns)
        left = _GAP + column * step + (_THUMBNAIL - pixels.shape[1]) // 2
        top = _GAP + row * step + (_THUMBNAIL - pixels.shape[0]) // 2
        sheet.paste(Image.fromarray(pixels), (left, top))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path)
    except (OSError, ValueError) as problem:
        raise StorageError(
            f"the contact sheet cannot be written to {path}: {problem}; name another file, ending with .png"
        ) from problem
