"""How what was decoded becomes arrays of one size, and these patches: what every medium has in common.

Shape letters: N arrays, H height, W width, K channels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.array_file import Arrays
from headwater.data.files import Source
from headwater.data.kinds import Kind, Modality
from headwater.data.problems import Problems
from headwater.data.readers.media import Decoded, Medium, read_media
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers.patches import TUBELET, Film, Patches
from headwater.data.spectrogram import Mel
from headwater.errors import BadDataError

LARGEST_PATCH = 16
_LOOKED_AT = 300
_A_GROUP = 512
_AT_ONCE = 64
"""Arrays whose brightness is measured at once."""

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Cut(ABC):
    """How what was decoded becomes arrays (H, W, K) of one size, and these patches. None: as the data suggest."""

    modality: ClassVar[Modality]
    what: ClassVar[str]
    kind: ClassVar[Kind]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"modality": self.modality, **asdict(self)}

    @abstractmethod
    def fitted(self, sources: Sequence[Source], check: Check | None = None) -> Self:
        """Nothing left open: as a few files from all over say."""

    def for_whole(self) -> Self:
        """The same where nothing of it may be missed, as what is said; of pictures and clips there is none such."""
        return self

    def unfit(self, content: Decoded) -> str:
        """Why it cannot be cut so, "reason: detail"; "" where it can."""
        del content
        return ""

    @abstractmethod
    def array(self, content: Decoded) -> Pixels:
        """What is read where there is one label for all of it: its middle."""

    def arrays(self, content: Decoded) -> Iterator[Pixels]:
        """What is learnt from where nobody labels it: all of it."""
        yield self.array(content)

    @abstractmethod
    def patches(self, pixels: Arrays) -> Patches:
        """How arrays (N, H, W, K) of a fitted cut are cut, their brightness measured."""

    def shown(self, pixels: Pixels) -> Pixels:
        """An array (H, W, K) of a fitted cut as a person looks at it."""
        return pixels

    @abstractmethod
    def told(self) -> str:
        """A fitted cut in words."""


def watched(
    sources: Sequence[Source],
    problems: Problems,
    check: Check | None,
    *,
    label: str | None = None,
    cut: Cut | None = None,
) -> Iterator[Medium]:
    """What these sources hold; ``check`` is asked now and then, and raises to stop.

    What a ``cut`` is unfit for is reported.
    """
    for number, medium in enumerate(read_media(sources, problems, label=label)):
        if number % _A_GROUP == 0 and check is not None:
            check()
        reason, _, detail = ("" if cut is None else cut.unfit(medium.content)).partition(": ")
        if reason:
            problems.add(medium.path, medium.row, reason, detail)
        else:
            yield medium


def some_of(sources: Sequence[Source], check: Check | None) -> list[Medium]:
    """A few from all over; BadDataError where none can be read."""
    problems = Problems()
    found = list(islice(watched(sources[:: -(-len(sources) // _LOOKED_AT)], problems, check), _LOOKED_AT))
    if not found:
        first = next(map(str, problems.first(1)), "nothing in it")
        what = {"sound": "recording", "clip": "clip", "clips": "clip", "track": "clip with sound"}.get(
            sources[0].kind, "picture"
        )
        raise BadDataError(
            f"none of {len(sources):,} files is a {what} that can be read (first: {first}); look at them: headwater "
            "inspect"
        )
    return found


def measured(
    pixels: Arrays, rows: int, columns: int, side: int, *, mel: Mel | None = None, film: Film | None = None
) -> Patches:
    """How arrays (N, H, W, K) are cut, the brightness of each channel measured."""
    mean, deviation = _statistics(pixels, 1 if film is None else TUBELET)
    return Patches(
        rows=rows,
        columns=columns,
        side=side,
        channels=pixels.shape[3],
        mean=mean,
        deviation=deviation,
        mel=mel,
        film=film,
    )


def _statistics(pixels: Arrays, alike: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel, in shares of white; rounded, so that they can be written down.

    Channels that are ``alike`` (the two frames of a pair) have them in common.
    """
    step = max(1, len(pixels) // 5000)
    total, squares, count = np.zeros(pixels.shape[3] // alike), np.zeros(pixels.shape[3] // alike), 0
    for first in range(0, len(pixels), step * _AT_ONCE):
        block = pixels[first : first + step * _AT_ONCE : step]
        values = (block.reshape(-1, pixels.shape[3] // alike, alike).astype(np.float32) / 255.0).astype(
            np.float64
        )
        total += values.sum(axis=(0, 2))
        squares += np.square(values).sum(axis=(0, 2))
        count += values.shape[0] * alike
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 0.0))
    return _rounded(mean, alike), _rounded(np.maximum(deviation, 1e-3), alike)


def _rounded(values: NDArray[np.float64], alike: int) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values.repeat(alike))
