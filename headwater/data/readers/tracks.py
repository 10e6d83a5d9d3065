"""The sound of clips → samples of one channel."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from headwater.data.readers.containers import opened
from headwater.data.readers.libraries import media_library
from headwater.data.readers.sounds import FULL_SCALE, TOO_LONG, Recording, Samples, most_samples
from headwater.errors import BadDataError


def decoded_track(stream: BinaryIO) -> Recording:
    """The samples of a clip's first sound track, channels averaged; BadDataError with the reason where it has none."""
    parts: list[Samples] = []
    count, cut = 0, False
    with opened(stream, "no sound") as container:
        if not container.streams.audio:
            raise BadDataError("no sound: the clip is silent, it has no sound track")
        track = container.streams.audio[0]
        track.thread_type = "NONE"
        rate = int(track.rate)
        try:
            for block in _as_floats(container.decode(track), rate):
                parts.append(_mixed(block))
                count += len(parts[-1])
                if count > most_samples(rate):
                    raise BadDataError(TOO_LONG)
        except media_library("av").error.FFmpegError:
            cut = True  # what was heard before the damage is used
    if not count:
        raise BadDataError("no sound: not one sample")
    return Recording(np.concatenate(parts), rate, cut)


def _as_floats(frames: Iterator[Any], rate: int) -> Iterator[Any]:
    """The same frames at this rate, their channels as they are; these may change on the way."""
    form, resampler = None, None
    for frame in frames:
        if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)) or resampler is None:
            resampler = media_library("av").AudioResampler(format="flt", layout=frame.layout, rate=rate)
        yield from resampler.resample(frame)


def _mixed(block: Any) -> Samples:
    mixed = block.to_ndarray().reshape(-1, block.layout.nb_channels).mean(axis=1)
    if not np.isfinite(mixed).all():
        raise BadDataError("no sound: samples that are no numbers")
    return (mixed.clip(-1.0, 1.0) * FULL_SCALE).round().astype(np.int16)
