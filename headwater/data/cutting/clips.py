"""Clips of any length and size become film strips: squares of pairs of frames, one below the other.

Shape letters: N clips, S slices of time, H height, W width, K channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import ClassVar, Self

import numpy as np

from headwater.data.array_file import Arrays
from headwater.data.cutting.cut import LARGEST_PATCH, Check, Cut, measured, some_of
from headwater.data.cutting.pictures import square
from headwater.data.files import Source
from headwater.data.kinds import Kind, Modality
from headwater.data.readers.clips import Clip
from headwater.data.readers.media import Decoded
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers.patches import TUBELET, Film, Patches, film_strip, side_by_side
from headwater.errors import BadDataError

LARGEST_SIDE = 112
MOST_PATCHES_A_SIDE = 4
MOST_FRAMES = 8
"""Where no number of frames is asked for."""
WHOLE = 0.0
"""As many seconds as a clip has."""
LONGEST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ClipCut(Cut):
    """Frames of a clip, evenly spaced over ``seconds`` of it; the side of these and of their patches, in pixels.

    ``WHOLE`` instead of seconds: over all of it, as where nobody knows how fast the frames follow each other.
    """

    frames: int | None = None
    seconds: float | None = None
    side: int | None = None
    patch: int | None = None
    channels: int | None = None

    modality: ClassVar[Modality] = "video"
    what: ClassVar[str] = "clips"
    kind: ClassVar[Kind] = "clip"

    def fitted(self, sources: Sequence[Source], check: Check | None = None) -> Self:
        """As many frames as most clips have, at most 8; the median length, at most ten seconds; the median side."""
        if None not in (self.frames, self.seconds, self.side, self.channels):
            return self._checked()
        seen = [_clip(medium.content) for medium in some_of(sources, check)]
        usual = int(median(min(clip.frames.shape[1:3]) for clip in seen))
        side = self.side or min(LARGEST_SIDE, usual)
        patch = self.patch or min(LARGEST_PATCH, max(2, -(-side // MOST_PATCHES_A_SIDE)))
        most = min(MOST_FRAMES, int(median(len(clip.frames) for clip in seen)))
        grey = all(clip.frames.shape[3] == 1 for clip in seen)
        lengths = [len(clip.frames) / clip.rate for clip in seen if clip.rate]
        length = min(LONGEST_SECONDS, median(lengths)) if len(lengths) == len(seen) else WHOLE
        return replace(
            self,
            frames=self.frames or max(TUBELET, most - most % TUBELET),
            seconds=length if self.seconds is None else self.seconds,
            side=side if self.side else max(patch, side - side % patch),
            patch=patch,
            channels=self.channels or (1 if grey else 3),
        )._checked()

    def _checked(self) -> Self:
        assert self.side is not None
        assert self.frames is not None
        if not self.patch or self.side % self.patch:
            raise BadDataError(
                f"patches of {self.patch} pixels do not fill a side of {self.side}; choose --set model.patch and --set "
                "data.side so that one divides the other"
            )
        if self.frames < TUBELET or self.frames % TUBELET:
            raise BadDataError(
                f"{self.frames} frames of a clip; expected an even number, as two of them make one patch: --set "
                f"data.frames={max(TUBELET, self.frames - self.frames % TUBELET)}"
            )
        return self

    def array(self, content: Decoded) -> Pixels:
        """The strip of its middle."""
        clip = _clip(content)
        span = self._span(clip)
        return self._strip(clip.frames, max(0, (len(clip.frames) - span) // 2), span)

    def arrays(self, content: Decoded) -> Iterator[Pixels]:
        """One strip after the other; a last piece of less than half a length is left out."""
        clip = _clip(content)
        span = self._span(clip)
        for start in range(0, max(1, len(clip.frames) - span // 2), span):
            yield self._strip(clip.frames, start, span)

    def patches(self, pixels: Arrays) -> Patches:
        """Squares of pairs of frames, slice by slice of time."""
        assert self.side is not None
        assert self.frames is not None
        assert self.patch is not None
        assert self.seconds is not None
        count, film = self.side // self.patch, Film(self.frames // TUBELET, self.seconds)
        return measured(pixels, film.slices * count, count, self.patch, film=film)

    def shown(self, pixels: Pixels) -> Pixels:
        """All frames side by side."""
        assert self.frames is not None
        return side_by_side(pixels[None], self.frames // TUBELET)[0]

    def told(self) -> str:
        """Frames, length, side and colour."""
        colour = "grey" if self.channels == 1 else "colour"
        length = f" of {self.seconds:.2f} s" if self.seconds else ""
        return f"{self.frames} frames{length}, {self.side} × {self.side}, {colour}"

    def _span(self, clip: Clip) -> int:
        """Frames of this clip that last as long as a strip shows."""
        assert self.seconds is not None
        assert self.frames is not None
        if not self.seconds or not clip.rate:
            return len(clip.frames)
        return max(1, min(len(clip.frames), round(self.seconds * clip.rate)))

    def _strip(self, frames: Pixels, start: int, span: int) -> Pixels:
        """(T, H, W, K) → (S · H, W, 2 K): frames at equal distances, the last one again where there are too few."""
        assert self.frames is not None
        places = start + np.floor((np.arange(self.frames) + 0.5) * span / self.frames).astype(int)
        chosen = frames[np.minimum(places, len(frames) - 1)]
        return film_strip(self.seen(chosen))

    def seen(self, frames: Pixels) -> Pixels:
        """What is seen in these frames of a clip: (T, H, W, K) → (T, side, side, channels)."""
        assert self.side is not None
        assert self.channels is not None
        return np.stack([square(frame, self.side, self.channels) for frame in frames])


def _clip(content: Decoded) -> Clip:
    assert isinstance(content, Clip)
    return content
