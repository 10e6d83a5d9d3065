"""Arrays of pictures or clips in npz files: which there are, without reading them, and which labels are theirs."""

import re
import zipfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.data.archives import READ_FAILURES, open_archive
from headwater.data.kinds import split_of_name

MOST_BYTES = 8 << 30
"""Of one array: a header that claims more is not believed."""
SMALLEST_SIDE = 4
EXPECTED = (
    "(pictures, height, width), (pictures, height, width, channels), (clips, frames, height, width) or (clips, frames, "
    f"height, width, 1, 3 or 4) of numbers, {SMALLEST_SIDE} pixels or more a side"
)
MOST_CHANNELS_GUESSED = 16
"""Of a picture whose array is not named as one; a longer last axis is the width of grey frames."""
COLOUR_AND_ALPHA = 4
_CHANNELS_OF_CLIPS = ((), (1,), (3,), (COLOUR_AND_ALPHA,))
_CLIP_WORDS = frozenset(("clip", "clips", "video", "videos", "frames", "film", "films", "movie", "movies"))
_PICTURE_WORDS = frozenset(("image", "images", "img", "imgs", "picture", "pictures", "photo", "photos"))
_LABEL_WORDS = ("y", "label", "labels", "target", "targets", "class", "classes", "digit")


class ArrayHead(NamedTuple):
    """What the header of an array says, and the words of its name, or of its file's where it says nothing."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    words: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """Its bytes."""
        return int(np.prod(self.shape, dtype=np.float64)) * self.dtype.itemsize

    @property
    def holds(self) -> Literal["pictures", "clips"] | None:
        """What whole numbers or shares of 1 of this shape are: see docs/decisions/0021.

        (pictures, height, width[, channels]) or (clips, frames, height, width[, channels]).
        """
        if self.dtype.kind not in "uif" or self.size > MOST_BYTES or len(self.shape) not in (3, 4, 5):
            return None
        if len(self.shape) == 5 or self._are_grey_clips():
            able = min(self.shape[2:4]) >= SMALLEST_SIDE and self.shape[4:] in _CHANNELS_OF_CLIPS
            return "clips" if able else None
        able = min(self.shape[1:3]) >= SMALLEST_SIDE and all(self.shape[3:])
        return "pictures" if able else None

    @property
    def guess(self) -> str:
        """What was decided though shape and name leave it open, and how to say otherwise; "" where nothing was."""
        if len(self.shape) != 4 or self.holds is None:
            return ""
        last = self.shape[3]
        if last == COLOUR_AND_ALPHA and not self.is_transparent:
            return f"{self.shape} read as pictures of 4 channels; if the last is transparency, name the array rgba"
        if self.words or not COLOUR_AND_ALPHA < last <= MOST_CHANNELS_GUESSED:
            return ""
        if self.holds == "clips":
            return f"{self.shape} read as clips of {self.shape[1]} grey frames; if not, name the array images"
        return f"{self.shape} read as pictures of {last} channels; if not, name the array clips"

    @property
    def is_transparent(self) -> bool:
        """Whether the last of four channels is transparency: in clips, and where the name says rgba."""
        return self.shape[-1] == COLOUR_AND_ALPHA and (len(self.shape) == 5 or "rgba" in self.words)

    def _are_grey_clips(self) -> bool:
        """Of four axes: whether the last is a side and not channels."""
        if len(self.shape) != 4 or self.shape[3] <= COLOUR_AND_ALPHA or self.words & _PICTURE_WORDS:
            return False
        first, second, last = self.shape[1:]
        square_frames = second == last != first
        return bool(self.words & _CLIP_WORDS) or last > MOST_CHANNELS_GUESSED or square_frames


def holds_array(path: Path, name: str) -> bool:
    """Whether an npz file has an array of that name which belongs to no part alone, as ``y_train`` does."""
    if path.suffix.lower() != ".npz" or split_of_name(f"{name.replace('_', '-')}.npy") is not None:
        return False
    try:
        return name in heads(path)
    except READ_FAILURES:  # whoever reads it says what is wrong with it
        return False


def heads(path: Path) -> dict[str, ArrayHead]:
    """The arrays of an npz file by name; objects, which would need a pickle, are left out.

    Raises what a damaged archive raises (``headwater.data.archives.READ_FAILURES``).
    """
    found: dict[str, ArrayHead] = {}
    with open_archive(path) as archive:
        for member in archive.namelist():
            if not member.endswith(".npy"):
                continue
            with archive.open(member) as stream:
                try:
                    major, _ = np.lib.format.read_magic(stream)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if major == 1
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, dtype = read(stream)
                except ValueError as problem:
                    raise zipfile.BadZipFile(f"{member} is no array: {problem}") from problem
            if not dtype.hasobject:
                name = member.removesuffix(".npy")
                found[name] = ArrayHead(shape, dtype, _words_of(name) or _words_of(path.stem))
    return found


def _words_of(name: str) -> frozenset[str]:
    """Those that say what an array holds."""
    return frozenset(re.split(r"[^a-z]+", name.lower())) & (_CLIP_WORDS | _PICTURE_WORDS | {"rgba"})


def arrays_of(path: Path, what: Literal["pictures", "clips"]) -> dict[str, int]:
    """The arrays that hold pictures, or clips, and their bytes."""
    return {name: head.size for name, head in heads(path).items() if head.holds == what}


def why_none(path: Path) -> str:
    """What is in a file that holds neither pictures nor clips, and what would be read; "" where it holds some."""
    known = heads(path)
    if any(head.holds for head in known.values()):
        return ""
    there = ", ".join(f"{name} {head.shape} {head.dtype}" for name, head in list(known.items())[:5])
    return f"{there or 'no arrays'}; expected {EXPECTED}"


def read_array(path: Path, name: str) -> NDArray[Any]:
    """One array of an npz file, never a pickle."""
    with open_archive(path) as archive, archive.open(f"{name}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def labels_beside(path: Path, name: str, wanted: str | None = None) -> tuple[str, NDArray[Any]] | None:
    """The name and the values of the array that labels the pictures of ``name``: as many, and named like labels.

    Of x_train that is y_train. ``wanted`` names it (``action``, or ``y`` for y_train).
    """
    known = heads(path)
    count = known[name].shape[0]
    flat = [other for other, head in known.items() if head.shape == (count,) and head.dtype.kind in "iubU"]
    part = name.partition("_")[2]
    words = (wanted,) if wanted is not None else _LABEL_WORDS
    named = [f"{word}_{part}" for word in words if part] + list(words)
    chosen = next((candidate for candidate in named if candidate in flat), None)
    return None if chosen is None else (chosen, read_array(path, chosen))
