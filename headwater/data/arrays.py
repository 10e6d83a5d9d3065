"""Arrays of pictures or clips in npz files: which there are, without reading them, and which labels are theirs."""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.data.archives import READ_FAILURES, open_archive
from headwater.data.kinds import split_of_name

MOST_BYTES = 8 << 30
"""Of one array: a header that claims more is not believed."""
SMALLEST_SIDE = 4
_CHANNELS = (1, 3, 4)
_LABEL_WORDS = ("y", "label", "labels", "target", "targets", "class", "classes", "digit")


class ArrayHead(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Its bytes."""
        return int(np.prod(self.shape, dtype=np.float64)) * self.dtype.itemsize

    @property
    def holds_pictures(self) -> bool:
        """(pictures, height, width) or (pictures, height, width, channels) of whole numbers or shares of 1."""
        sides, channels = self.shape[1:3], self.shape[3:]
        return (
            len(self.shape) in (3, 4)
            and self.dtype.kind in "uif"
            and min(sides) >= SMALLEST_SIDE
            and (not channels or channels[0] in _CHANNELS)
            and self.size <= MOST_BYTES
        )

    @property
    def holds_clips(self) -> bool:
        """(clips, frames, height, width, channels), or (clips, frames, height, width) in grey."""
        sides, channels = self.shape[2:4], self.shape[4:]
        return (
            (len(self.shape) == 5 or (len(self.shape) == 4 and self.shape[3] not in _CHANNELS))
            and self.dtype.kind in "uif"
            and min(sides) >= SMALLEST_SIDE
            and (not channels or channels[0] in _CHANNELS)
            and self.size <= MOST_BYTES
        )


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
                found[member.removesuffix(".npy")] = ArrayHead(shape, dtype)
    return found


def picture_arrays(path: Path) -> dict[str, int]:
    """The arrays that hold pictures, and their bytes."""
    return {name: head.size for name, head in heads(path).items() if head.holds_pictures}


def clip_arrays(path: Path) -> dict[str, int]:
    """The arrays that hold clips, and their bytes."""
    return {name: head.size for name, head in heads(path).items() if head.holds_clips}


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
