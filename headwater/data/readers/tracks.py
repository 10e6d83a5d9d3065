"""The sound of clips → samples of one channel."""

from typing import Any, BinaryIO

import numpy as np

from headwater.data.readers.containers import opened
from headwater.data.readers.libraries import media_library
from headwater.data.readers.sounds import FULL_SCALE, TOO_LONG, Recording, Samples, most_samples
from headwater.errors import BadDataError


def decoded_track(stream: BinaryIO) -> Recording:
    """The samples of a clip's first sound track, channels averaged; BadDataError with the reason where it has none."""
    av = media_library("av")
    parts: list[Samples] = []
    count, cut = 0, False
    with opened(stream, "no sound") as container:
        if not container.streams.audio:
            raise BadDataError("no sound: the clip is silent, it has no sound track")
        track = container.streams.audio[0]
        track.thread_type = "NONE"
        rate = int(track.rate)
        # The channels stay as they are; only their numbers become floats, a line for each.
        as_floats = av.AudioResampler(format="fltp", layout=track.layout.name, rate=rate)
        try:
            for block in (block for frame in container.decode(track) for block in as_floats.resample(frame)):
                parts.append(_mixed(block))
                count += len(parts[-1])
                if count > most_samples(rate):
                    raise BadDataError(TOO_LONG)
        except av.error.FFmpegError:
            cut = True  # what was heard before the damage is used
    if not count:
        raise BadDataError("no sound: not one sample")
    return Recording(np.concatenate(parts), rate, cut)


def _mixed(block: Any) -> Samples:
    mixed = block.to_ndarray().mean(axis=0)
    if not np.isfinite(mixed).all():
        raise BadDataError("no sound: samples that are no numbers")
    return (mixed.clip(-1.0, 1.0) * FULL_SCALE).round().astype(np.int16)
