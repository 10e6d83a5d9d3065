"""Clips of any common kind → frames. Shape letters: T frames, H height, W width, K channels."""

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from headwater.data.readers.libraries import media_library
from headwater.data.readers.pictures import MOST_PIXELS, Pixels
from headwater.errors import BadDataError

LARGEST_SIDE = 256
"""Of frames as they are kept: no model here reads larger ones."""
MOST_KEPT = 512
"""Frames that are kept of a clip; of a longer one every second, every fourth and so on."""
MOST_FRAMES = 1_000_000
"""A clip that goes on for longer is refused."""


class Clip(NamedTuple):
    """Frames (T, H, W, K), and how many of them make a second, where that is known."""

    frames: Pixels
    rate: float | None


def decoded_clip(stream: BinaryIO) -> Clip:
    """The frames of a clip, evenly spaced over all of it; BadDataError with the reason where there are none."""
    av = media_library("av")
    try:
        with av.open(stream, mode="r", metadata_errors="ignore") as container:
            if not container.streams.video:
                raise BadDataError("no clip: no pictures in it")
            film = container.streams.video[0]
            film.thread_type = "NONE"
            rate = float(film.average_rate) if film.average_rate else None
            kept, step = _thinned(_frames(container, film))
    except BadDataError:
        raise
    except Exception as problem:  # a decoder may raise anything on bytes that nobody meant as a clip
        told = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        raise BadDataError(f"no clip: {str(told).splitlines()[0]}") from problem
    if not kept:
        raise BadDataError("no clip: not one frame")
    if len({frame.shape for frame in kept}) > 1:
        kept = [frame for frame in kept if frame.shape == kept[0].shape]
    return Clip(np.stack(kept), rate and rate / step)


def _frames(container: Any, film: Any) -> Iterator[Pixels]:
    """Small frames in colour, as far as the clip can be read."""
    av = media_library("av")
    try:
        for number, frame in enumerate(container.decode(film)):
            if number >= MOST_FRAMES:
                raise BadDataError(f"more than {MOST_FRAMES:,} frames")
            if frame.width * frame.height > MOST_PIXELS:
                raise BadDataError(f"frames of more than {MOST_PIXELS // 1_000_000} million pixels")
            yield _small(frame.to_ndarray(format="rgb24"))
    except av.error.FFmpegError:
        return  # what was read before the damage is used


def _thinned(frames: Iterator[Pixels]) -> tuple[list[Pixels], int]:
    """At most ``MOST_KEPT`` frames at equal distances, and that distance."""
    kept: list[Pixels] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step:
            continue
        kept.append(frame)
        if len(kept) > MOST_KEPT:
            kept, step = kept[::2], 2 * step
    return kept, step


def _small(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = LARGEST_SIDE / min(height, width)
    if scale >= 1.0:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
