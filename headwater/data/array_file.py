"""Arrays of one shape written to a file one by one, so that no more than one of them is in memory.

Shape letters: N arrays, H height, W width, K channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from headwater.data.readers.pictures import Pixels


class ArrayFile:
    """A ``.npy`` file (N, H, W, K) that grows: the same bytes as ``np.save`` of all arrays at once.

    Without an array it has the shape (0, 1, 1, 1), unless ``none_like`` says another one.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._count = path, 0
        self._shape: tuple[int, ...] = (1, 1, 1)
        self._file = path.open("wb")
        self._write_header()

    def append(self, pixels: Pixels) -> None:
        """Write one more (H, W, K); all have the shape of the first."""
        if self._count == 0 and pixels.shape != self._shape:
            self._shape = pixels.shape
            self._write_header()
        assert pixels.shape == self._shape, "arrays of one file have one shape"
        self._file.write(np.ascontiguousarray(pixels).data)
        self._count += 1

    def none_like(self, other: "ArrayFile") -> None:
        """Without an array it has the shape of another one's."""
        if self._count == 0:
            self._shape = other._shape

    def mapped(self) -> Pixels:
        """All that was written, as a view of the file."""
        return np.load(self.path, mmap_mode="r")

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if problem is None:
            self._write_header()  # the number is known now; the header keeps its length
        self._file.close()

    def _write_header(self) -> None:
        # As np.save writes it: with room for the number of arrays to grow.
        self._file.seek(0)
        facts: dict[str, Any] = {
            "descr": dtype_to_descr(np.dtype(np.uint8)),
            "fortran_order": False,
            "shape": (self._count, *self._shape),
        }
        write_array_header_1_0(self._file, facts)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some of many arrays, of which no more are read than are asked for at a time."""

    pixels: Pixels
    numbers: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, K)."""
        return len(self.numbers), *self.pixels.shape[1:]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, places: slice) -> Pixels:
        return self.pixels[self.numbers[places]]


@dataclass(frozen=True, slots=True)
class Apart:
    """Arrays of one size that lie apart, of which no more are brought together than are asked for at a time."""

    arrays: Sequence[Pixels]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, K)."""
        return len(self.arrays), *self.arrays[0].shape

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, places: slice) -> Pixels:
        return np.stack(self.arrays[places])


Arrays = Pixels | Chosen | Apart
