"""Sounds → pictures of their loudness over time and pitch.

Shape letters: S samples, T frames, M mel bands, F frequencies of the transform.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from headwater.data.readers.sounds import FULL_SCALE
from headwater.errors import SettingsError

QUIETEST = -100.0
"""Decibels below a sine at full scale that are drawn black; full scale is white."""
_LEAST_POWER = 1e-12


@dataclass(frozen=True, slots=True)
class Mel:
    """How a sound is listened to: ``rate`` samples a second, ``frames`` windows of it, ``bands`` of pitch.

    A Hann window of ``window`` milliseconds every ``hop`` milliseconds; triangles of equal width on the mel scale of
    HTK, mel(f) = 2595 log₁₀(1 + f / 700), from 20 Hz to half of the rate.
    """

    rate: int
    frames: int
    bands: int = 64
    window: float = 25.0
    hop: float = 10.0
    full_volume: bool = False
    """Whether a recording is first made as loud as it goes; otherwise it is heard as it was recorded."""

    def __post_init__(self) -> None:
        if not 1_000 <= self.rate <= 384_000 or self.frames < 1 or not 1 <= self.bands <= 512:
            raise SettingsError(
                f"a spectrogram of {self.frames} frames and {self.bands} bands at {self.rate} samples a second; "
                "expected at least one frame, 1 to 512 bands, 1,000 to 384,000 samples a second"
            )

    @property
    def step(self) -> int:
        """Samples from one window to the next."""
        return max(1, round(self.rate * self.hop / 1000))

    @property
    def length(self) -> int:
        """Samples of a window."""
        return max(2, round(self.rate * self.window / 1000))

    @property
    def samples(self) -> int:
        """Samples that all frames together stand on: frame t is centred on sample t · step."""
        return (self.frames - 1) * self.step + 1

    def picture(self, samples: NDArray[np.int16]) -> NDArray[np.uint8]:
        """(S,) → (M, T, 1), as loud as they are, high pitch on top; what lacks is silence, and the rest is not read.

        A level of L decibels below a sine at full scale is the byte 255 · (1 + L / 100).
        """
        window, bands = _parts(self)
        size = _size(self.length)
        before = size // 2 - (size - self.length) // 2
        wave = np.zeros(self.samples - 1 + self.length, np.float32)
        known = samples[: len(wave) - before].astype(np.float32) / 32_768.0
        wave[before : before + len(known)] = known
        heard = np.fft.rfft(sliding_window_view(wave, self.length)[:: self.step] * window, size)
        power = np.square(np.abs(heard)).T
        # Band by band: a product of whole matrices wakes every core for less than a millisecond of work.
        sums = np.stack([weights @ power[first : first + len(weights)] for first, weights in bands])
        full_scale = (float(window.sum()) / 2) ** 2
        level = 10.0 * np.log10(np.maximum(sums / full_scale, _LEAST_POWER))
        shades = np.rint(255.0 * (1.0 - level / QUIETEST)).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(shades[::-1])[..., None]


def at_full_volume(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Samples (S,) whose loudest is the loudest there can be; silence stays silence."""
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    return np.rint(samples * (FULL_SCALE / peak)).astype(np.int16) if peak else samples


def _size(length: int) -> int:
    """Samples of the transform of a window of so many: the next power of two."""
    return 1 << (length - 1).bit_length()


@cache
def _parts(mel: Mel) -> tuple[NDArray[np.float32], list[tuple[int, NDArray[np.float32]]]]:
    """The window (L,), and of each band its first frequency and the weights from there on."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(mel.length) / mel.length)
    bands: list[tuple[int, NDArray[np.float32]]] = []
    for weights in triangles(mel.bands, _size(mel.length), mel.rate).astype(np.float32):
        heard = np.flatnonzero(weights)
        first, last = (int(heard[0]), int(heard[-1])) if len(heard) else (0, 0)
        bands.append((first, weights[first : last + 1]))
    return window.astype(np.float32), bands


def triangles(bands: int, size: int, rate: int) -> NDArray[np.float64]:
    """Of each band the weight of each frequency of a transform of ``size`` samples, 1 at its peak: (M, F)."""
    scale = lambda hertz: 2595.0 * np.log10(1.0 + hertz / 700.0)  # noqa: E731
    edges = 700.0 * (10.0 ** (np.linspace(scale(20.0), scale(rate / 2), bands + 2) / 2595.0) - 1.0)
    frequencies = np.linspace(0.0, rate / 2, size // 2 + 1)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling))
