"""How spectrograms are changed as they are shown: as if someone else spoke, faster, elsewhere, into another microphone.

Shape letters: B recordings, M bands (high pitch on top), T frames. A shade is 100 / 255 of a decibel; 0 is silence.
"""

import numpy as np

from headwater.data.readers.pictures import Pixels
from headwater.randomness import Draws

PITCH = 0.15
"""How much higher or lower a voice may be, as a share: Jaitly and Hinton 2013, vocal tract length perturbation."""
TEMPO = 0.25
"""How much faster or slower."""
COLOUR = 30.0
"""Shades by which each of five slow waves over the bands may lift or lower them: another microphone, another room."""
WAVES = 5
EVEN = 1.5
"""The waves together are divided by this."""
NOISE = 170.0
"""Shades of the loudest noise: 33 decibels below a sine at full scale."""
TILT = 40.0
"""Shades by which noise may be louder at the highest band than at the lowest."""
GRAIN = 10.0
"""Deviation of noise from its mean, in shades."""


def varied(pixels: Pixels, draws: Draws, strength: float = 1.0) -> Pixels:
    """One variation of each spectrogram (B, M, T, 1), drawn for its item; ``strength`` multiplies every range.

    Bands are read at a pitch that is a share higher or lower, frames at another tempo from the beginning on; what is
    heard is coloured by slow waves over the bands and, where it is quieter than a noise, replaced by that. Silence
    behind a recording stays silence.
    """
    stretched = _stretched(pixels[..., 0], draws, strength).astype(np.float32)
    found = stretched + strength * _colour(draws, stretched.shape[1])[:, :, None]
    found = np.maximum(found, _noise(draws, stretched.shape, strength))
    return np.where(stretched > 0, found.clip(1, 255), 0).astype(np.uint8)[..., None]


def _stretched(shades: Pixels, draws: Draws, strength: float) -> Pixels:
    """(B, M, T) at another pitch and tempo; what comes in from outside is the border again."""
    _, bands, frames = shades.shape
    factors = 1 + strength * (2 * draws.uniform("stretched", 2) - 1) * np.array([PITCH, TEMPO])
    heights = np.rint(np.arange(bands) * factors[:, :1]).astype(np.int64).clip(0, bands - 1)
    lines = bands - 1 - heights[:, ::-1]
    places = np.rint(np.arange(frames) * factors[:, 1:]).astype(np.int64).clip(0, frames - 1)
    return shades[np.arange(len(shades))[:, None, None], lines[:, :, None], places[:, None, :]]


def _colour(draws: Draws, bands: int) -> np.ndarray:
    """(B, M): how many shades louder each band is."""
    amounts = (2 * draws.uniform("coloured", WAVES) - 1) * COLOUR / EVEN
    middles = (np.arange(bands) + 0.5) / bands
    return amounts @ np.cos(np.pi * np.arange(WAVES)[:, None] * middles)


def _noise(draws: Draws, shape: tuple[int, ...], strength: float) -> np.ndarray:
    """(B, M, T): shades of a noise of any loudness up to ``NOISE``, louder at the top."""
    count, bands, frames = shape
    level = strength * NOISE * draws.uniform("noise", 1)
    tilt = TILT * (draws.uniform("tilt", 1) * np.linspace(1.0, 0.0, bands) - 0.5)
    grain = draws.uniform("grain", 2 * bands * frames).reshape(count, 2, bands, frames).sum(axis=1) - 1
    return (level + tilt)[:, :, None] + GRAIN * np.sqrt(6.0) * grain
