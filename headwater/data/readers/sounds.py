"""Recordings of any common kind → samples of one channel. Shape letter: S samples."""

from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.data.readers.libraries import media_library
from headwater.errors import BadDataError

Samples = NDArray[np.int16]
LONGEST_SECONDS = 4 * 3600
"""A recording that claims more is refused before it is unpacked."""
_FULL_SCALE = 32_767


class Recording(NamedTuple):
    """Samples (S,) of one channel, and how many of them make a second."""

    samples: Samples
    rate: int


def decoded_sound(stream: BinaryIO) -> Recording:
    """The samples of a recording, channels averaged; BadDataError with the reason where there are none to be had."""
    soundfile = media_library("soundfile")
    try:
        with soundfile.SoundFile(stream) as file:
            if file.frames > LONGEST_SECONDS * file.samplerate:
                raise BadDataError(f"more than {LONGEST_SECONDS // 3600} hours")
            channels = file.read(dtype="float32", always_2d=True)
            rate = int(file.samplerate)
    except BadDataError:
        raise
    except Exception as problem:  # a decoder may raise anything on bytes that nobody meant as a sound
        told = str(
            getattr(problem, "error_string", problem)
        ).splitlines()  # else it names an object of Python
        raise BadDataError(f"no sound: {told[0] if told else 'damaged'}") from problem
    mixed = channels.mean(axis=1)
    if not len(mixed):
        raise BadDataError("no sound: not one sample")
    if not np.isfinite(mixed).all():
        raise BadDataError("no sound: samples that are no numbers")
    return Recording((mixed.clip(-1.0, 1.0) * _FULL_SCALE).round().astype(np.int16), rate)


def at_rate(recording: Recording, rate: int) -> Samples:
    """The samples at another rate."""
    if recording.rate == rate:
        return recording.samples
    found: NDArray[Any] = media_library("soxr").resample(recording.samples, recording.rate, rate)
    return found.astype(np.int16)
