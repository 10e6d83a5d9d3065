"""Contact sheets: a few of many pictures, recordings and clips side by side, evenly from all that were looked at."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from headwater.data.readers.clips import Clip
from headwater.data.readers.media import Decoded
from headwater.data.readers.pictures import Pixels, as_seen
from headwater.data.readers.sounds import Recording
from headwater.data.spectrogram import Mel
from headwater.errors import StorageError

SHEET = 64
"""Pictures on a contact sheet."""
LONGEST_DRAWN = 200
"""Frames of a spectrogram on a contact sheet: two seconds."""
_THUMBNAIL = 96
_GAP = 4
Thing = TypeVar("Thing")


class Spread(Generic[Thing]):
    """Some of a stream of unknown length, at even distances: every one, then every second, every fourth of all seen."""

    def __init__(self, most: int) -> None:
        self._most, self._distance, self._seen = most, 1, 0
        self._kept: list[Thing] = []

    def offer(self, make: Callable[[], Thing]) -> None:
        """Let one more go by; it is made only if it is kept."""
        if self._seen % self._distance == 0:
            self._kept.append(make())
            if len(self._kept) == 2 * self._most:
                self._kept, self._distance = self._kept[::2], 2 * self._distance
        self._seen += 1

    def __len__(self) -> int:
        """How many are kept: all that came, or between the wanted number and twice as many."""
        return len(self._kept)

    def some(self, count: int) -> list[Thing]:
        """``count`` of those kept, or all of fewer, in their order."""
        if len(self._kept) <= count:
            return list(self._kept)
        return [self._kept[number * len(self._kept) // count] for number in range(count)]


class Thumbnails:
    """What a contact sheet may show of a part: of every label, or of all where labels are too many."""

    def __init__(self) -> None:
        self._of: dict[str | None, Spread[Pixels]] = {}
        self._all: Spread[Pixels] = Spread(SHEET)
        self._labels: set[str | None] = set()

    def offer(self, label: str | None, content: Decoded) -> None:
        """Let one more go by."""
        thumbnail = cache(lambda: _thumbnail(_drawn(content)))  # at most once, for both
        self._labels.add(label)
        self._all.offer(thumbnail)
        if len(self._labels) <= SHEET:
            self._of.setdefault(label, Spread(SHEET)).offer(thumbnail)

    def mixed(self, most: int) -> list[Pixels]:
        """The labels in turn, as many of each as fill the sheet where rarer ones have no more."""
        if len(self._labels) > most:
            return self._all.some(most)
        spreads = list(self._of.values())
        each = next((n for n in range(1, most) if sum(min(n, len(one)) for one in spreads) >= most), most)
        rows = [spread.some(each) for spread in spreads]
        turns = ([row[turn] for row in rows if turn < len(row)] for turn in range(each))
        return [pixels for turn in turns for pixels in turn][:most]


def _drawn(content: Decoded) -> Pixels:
    """What stands for it on a contact sheet."""
    match content:
        case Recording():
            mel = Mel(content.rate, min(LONGEST_DRAWN, 1 + len(content.samples) // Mel(content.rate, 1).step))
            return mel.picture(content.samples)
        case Clip():
            return content.frames[len(content.frames) // 2]
        case _:
            return content


def _thumbnail(pixels: Pixels) -> Pixels:
    image = _image(pixels)
    scale = _THUMBNAIL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    smooth = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return np.asarray(image.convert("RGB").resize(size, smooth))


def _image(pixels: Pixels) -> Image.Image:
    pixels = as_seen(pixels)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else np.ascontiguousarray(pixels))


def draw_sheet(pictures: Sequence[Pixels], path: Path) -> None:
    """The pictures side by side, about as many in a row as there are rows; StorageError if they cannot be written."""
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
