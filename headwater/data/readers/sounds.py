"""Recordings of any common kind → samples of one channel. Shape letter: S samples."""

import re
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.data.readers.libraries import media_library
from headwater.errors import BadDataError

Samples = NDArray[np.int16]
LONGEST_SECONDS = 4 * 3600
MOST_SAMPLES = LONGEST_SECONDS * 48_000
"""A recording that claims more is refused before it is unpacked, or where it turns out to be longer."""
_BLOCK = 1 << 18
"""Numbers, of all channels, that are unpacked at a time."""
FULL_SCALE = 32_767
"""Of 16-bit samples."""
TOO_LONG = f"more than {LONGEST_SECONDS // 3600} hours, or {MOST_SAMPLES // 10**6:,} million samples"
_CLAIM = re.compile(r": (\d+) \(should be (\d+)\)")
_UNTOLD = 2**31 - 1
"""Whoever writes to a pipe does not know how much will come, and claims at least this."""


class Recording(NamedTuple):
    """Samples (S,) of one channel, and how many of them make a second; ``cut`` where there should be more of them."""

    samples: Samples
    rate: int
    cut: bool = False


def decoded_sound(stream: BinaryIO) -> Recording:
    """The samples of a recording, channels averaged; BadDataError with the reason where there are none to be had."""
    soundfile = media_library("soundfile")
    try:
        with soundfile.SoundFile(stream) as file:
            rate, claimed = int(file.samplerate), int(file.frames)
            samples = _mixed(file, most_samples(rate))
            cut = len(samples) < claimed or _claims_more(file.extra_info)
    except BadDataError:
        raise
    except Exception as problem:  # a decoder may raise anything on bytes that nobody meant as a sound
        told = str(
            getattr(problem, "error_string", problem)
        ).splitlines()  # else it names an object of Python
        raise BadDataError(f"no sound: {told[0] if told else 'damaged'}") from problem
    if not len(samples):
        raise BadDataError("no sound: not one sample")
    return Recording(samples, rate, cut)


def most_samples(rate: int) -> int:
    """How many samples a recording may have at this rate."""
    return min(LONGEST_SECONDS * rate, MOST_SAMPLES)


def _mixed(file: Any, most: int) -> Samples:
    """The mean of all channels, a block at a time: eight channels are unpacked in the room of one."""
    if file.frames > most:
        raise BadDataError(TOO_LONG)
    parts: list[Samples] = []
    count = 0
    while len(block := file.read(max(1, _BLOCK // file.channels), dtype="float32", always_2d=True)):
        mixed = block.mean(axis=1)
        if not np.isfinite(mixed).all():
            raise BadDataError("no sound: samples that are no numbers")
        parts.append((mixed.clip(-1.0, 1.0) * FULL_SCALE).round().astype(np.int16))
        count += len(block)
        if count > most:
            raise BadDataError(TOO_LONG)
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _claims_more(log: str) -> bool:
    """Whether a header promises more bytes than there are, as the reader of such files noted."""
    claims = [(int(said), int(there)) for said, there in _CLAIM.findall(log)]
    return any(there < said < _UNTOLD for said, there in claims)


def at_rate(recording: Recording, rate: int) -> Samples:
    """The samples at another rate."""
    if recording.rate == rate:
        return recording.samples
    found: NDArray[Any] = media_library("soxr").resample(recording.samples, recording.rate, rate)
    return found.astype(np.int16)
