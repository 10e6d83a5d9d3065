"""Clips of any common kind → frames. Shape letters: T frames, H height, W width, K channels."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from headwater.data.readers.containers import opened
from headwater.data.readers.libraries import media_library
from headwater.data.readers.pictures import Pixels
from headwater.errors import BadDataError

LARGEST_SIDE = 256
"""Of the shorter side of frames as they are kept: no model here reads larger ones."""
LONGEST_SIDE = 4 * LARGEST_SIDE
LARGEST_FRAME = 8192 * 4320
"""Pixels of a frame; what claims more is refused."""
MOST_PIXELS = 60_000_000_000
"""Of all frames: ten minutes of 1920 × 1080 are 37 thousand million."""
MOST_PIXELS_OF_PICTURES = 2_000_000_000
"""Of a moving picture (GIF and its kin), a file of which can be a thousand times smaller than what it unpacks to."""
CERTAIN = 0.9
"""Of the frames that there should be: with fewer a clip is said to be cut short."""
_END_OF_GIF = b";"
_MOVING_PICTURES = ("gif", "apng", "webp", "png", "mjpeg")
MOST_KEPT = 512
"""Frames that are kept of a clip; of a longer one every second, every fourth and so on."""
UNEVEN = 2.5
"""How many times the usual distance in time two frames may be apart before frames are taken to be uneven."""
MOST_FRAMES = 1_000_000
"""A clip that goes on for longer is refused."""


class Clip(NamedTuple):
    """Frames (T, H, W, K), how many of them make a second if that is known, and ``cut`` where there should be more."""

    frames: Pixels
    rate: float | None
    cut: bool = False


def decoded_clip(stream: BinaryIO) -> Clip:
    """The frames of a clip, evenly spaced over all of it; BadDataError with the reason where there are none."""
    with opened(stream, "no clip") as container:
        if not container.streams.video:
            raise BadDataError("no clip: no pictures in it")
        film = container.streams.video[0]
        film.thread_type = "NONE"
        rate = float(film.average_rate) if film.average_rate else None
        reel = _Reel(container, film)
        kept, step = _thinned(reel.frames())
        kept = [frame for frame in kept if frame.pixels.shape == kept[0].pixels.shape]
    if not kept:
        raise BadDataError("no clip: not one frame")
    even = _evenly_spaced([frame.time for frame in kept])
    frames = np.stack([frame.pixels for frame in kept])
    cut = reel.cut or _is_half_a_gif(stream)
    return (
        Clip(frames, rate and rate / step, cut) if even is None else Clip(frames[even.shown], even.rate, cut)
    )


def _is_half_a_gif(stream: BinaryIO) -> bool:
    """Whether a GIF lacks the byte that ends it: nothing else in it says how long it is."""
    stream.seek(0)
    if stream.read(3) != b"GIF":
        return False
    stream.seek(-1, io.SEEK_END)
    return stream.read(1) != _END_OF_GIF


@dataclass(slots=True)
class _Reel:
    """The frames of an open clip, as far as it can be read."""

    container: Any
    film: Any
    cut: bool = False
    """Whether it ended before it should have, known once it was read."""

    def frames(self) -> Iterator[Any]:
        """Every frame, not yet in colours; BadDataError where there are more or larger ones than anyone films."""
        moving = self.film.codec_context.name in _MOVING_PICTURES
        most = MOST_PIXELS_OF_PICTURES if moving else MOST_PIXELS
        number, pixels = 0, 0
        try:
            for number, frame in enumerate(self.container.decode(self.film), 1):
                size = frame.width * frame.height
                pixels += size
                if size > LARGEST_FRAME:
                    raise BadDataError(f"frames of more than {LARGEST_FRAME // 10**6} million pixels")
                if number > MOST_FRAMES or pixels > most:
                    raise BadDataError(
                        f"more than {MOST_FRAMES:,} frames, or {most // 10**6:,} million pixels in all"
                    )
                yield frame
        except media_library("av").error.FFmpegError:
            self.cut = True  # what was read before the damage is used
        self.cut |= number < CERTAIN * self._claimed()

    def _claimed(self) -> float:
        """How many frames there should be: as the clip says, or as its length does where it holds nothing else."""
        if self.film.frames or len(self.container.streams) > 1:
            return float(self.film.frames)
        seconds = float(self.container.duration or 0) / media_library("av").time_base
        return seconds * float(self.film.average_rate or 0)


class _Frame(NamedTuple):
    """What is seen, and from which second on."""

    pixels: Pixels
    time: float | None


class _Spacing(NamedTuple):
    """Which frame is seen at each of as many moments at equal distances, and how many of these make a second."""

    shown: NDArray[np.int64]
    rate: float


def _evenly_spaced(times: Sequence[float | None]) -> _Spacing | None:
    """Of frames that stand for unequal times, as phones and GIFs have them; None of the others."""
    known = np.array([time for time in times if time is not None])
    gaps = np.diff(known)
    if len(known) < len(times) or len(gaps) < 2 or gaps.min() <= 0 or gaps.max() <= UNEVEN * np.median(gaps):
        return None
    moments = np.linspace(known[0], known[-1], len(known))
    shown = np.searchsorted(known, moments + 1e-6, side="right") - 1
    return _Spacing(shown, float(len(gaps) / (known[-1] - known[0])))


def _thinned(frames: Iterator[Any]) -> tuple[list[_Frame], int]:
    """At most ``MOST_KEPT`` small frames in colour, upright, at equal distances, and that distance."""
    kept: list[_Frame] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step:
            continue
        upright = np.rot90(_small(frame.to_ndarray(format="rgb24")), round(frame.rotation / 90))
        kept.append(_Frame(upright, frame.time))
        if len(kept) > MOST_KEPT:
            kept, step = kept[::2], 2 * step
    return kept, step


def _small(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = min(LARGEST_SIDE / min(height, width), LONGEST_SIDE / max(height, width))
    if scale >= 1.0:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
