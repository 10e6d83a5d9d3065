"""Recordings of any length become spectrograms of one length."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from headwater.data.array_file import Arrays
from headwater.data.cutting.cut import LARGEST_PATCH, Check, Cut, measured, some_of
from headwater.data.files import Source
from headwater.data.kinds import Kind, Modality
from headwater.data.readers.media import Decoded
from headwater.data.readers.pictures import Pixels
from headwater.data.readers.sounds import Recording, at_rate
from headwater.data.sequencers.patches import Patches
from headwater.data.spectrogram import Mel, at_full_volume
from headwater.errors import BadDataError

HIGHEST_RATE = 16_000
LONGEST_SECONDS = 10.0
LONGEST_WHOLE_SECONDS = 30.0
ROOM = 1.1
"""For recordings longer than those that were looked at."""
FITTING_SHARE = 0.95
"""Recordings that are heard whole where no length is asked for."""
SMALL_PATCH = 8
MOST_FRAMES_OF_SMALL_PATCHES = 128


@dataclass(frozen=True, slots=True)
class SoundCut(Cut):
    """Samples a second, frames of a spectrogram, the side of its patches in frames and bands, its bands of pitch.

    At ``full_volume`` each recording is made as loud as it goes: how near the microphone stood is rarely the question.
    """

    rate: int | None = None
    frames: int | None = None
    patch: int | None = None
    bands: int = 64
    seconds: float | None = None
    """Asked for instead of frames."""
    full_volume: bool = True
    whole: bool = False
    """Whether what is longer is unfit, instead of heard in part."""

    modality: ClassVar[Modality] = "audio"
    what: ClassVar[str] = "recordings"
    kind: ClassVar[Kind] = "sound"

    def fitted(self, sources: Sequence[Source], check: Check | None = None) -> "SoundCut":
        """The most frequent rate, at most 16,000; as long as 95 in 100 recordings, at most ten seconds.

        Where they have to be heard ``whole``, a tenth longer than the longest of those looked at, at most 30 seconds.
        """
        if self.rate is not None and self.frames is not None:
            return self._checked(self.rate, self.frames)
        heard = [_recording(medium.content) for medium in some_of(sources, check)]
        rate = self.rate or min(HIGHEST_RATE, Counter(sound.rate for sound in heard).most_common(1)[0][0])
        lengths = sorted(len(sound.samples) / sound.rate for sound in heard)
        usual = min(LONGEST_SECONDS, lengths[int(FITTING_SHARE * (len(lengths) - 1))])
        if self.whole:
            usual = min(LONGEST_WHOLE_SECONDS, ROOM * lengths[-1])
        mel = Mel(rate, 1, self.bands)
        frames = 1 + round((self.seconds or usual) * rate / mel.step)
        return self._checked(rate, frames)

    def _checked(self, rate: int, frames: int) -> "SoundCut":
        small = frames <= MOST_FRAMES_OF_SMALL_PATCHES
        patch = self.patch or (SMALL_PATCH if small else LARGEST_PATCH)
        if self.bands % patch:
            raise BadDataError(
                f"patches of {patch} bands do not fill the {self.bands} of a spectrogram; choose --set model.patch so "
                f"that it divides {self.bands}"
            )
        frames = max(patch, -(-frames // patch) * patch)
        return SoundCut(rate, frames, patch, self.bands, full_volume=self.full_volume, whole=self.whole)

    def for_whole(self) -> "SoundCut":
        """A recording whose end is not heard, or whose beginning, is left out and told of."""
        return replace(self, whole=True)

    def unfit(self, content: Decoded) -> str:
        """Longer than what is heard, where all of it has to be."""
        if not self.whole:
            return ""
        sound, mel = _recording(content), self.mel
        seconds, heard = len(sound.samples) / sound.rate, mel.samples / mel.rate
        if seconds <= heard + 0.05:
            return ""
        return (
            f"longer than the {heard:.2f} seconds that are heard (--set data.seconds): {seconds:.2f} seconds"
        )

    @property
    def mel(self) -> Mel:
        """How a recording is listened to."""
        assert self.rate is not None
        assert self.frames is not None
        return Mel(self.rate, self.frames, self.bands, full_volume=self.full_volume)

    def array(self, content: Decoded) -> Pixels:
        """The spectrogram of its middle; silence behind what is shorter."""
        mel, samples = self.mel, self._heard(content)
        start = max(0, (len(samples) - mel.samples) // 2)
        return mel.picture(samples[start:])

    def arrays(self, content: Decoded) -> Iterator[Pixels]:
        """One spectrogram behind the other; a last piece of less than half a length is left out."""
        mel, samples = self.mel, self._heard(content)
        for start in range(0, max(1, len(samples) - mel.samples // 2), mel.samples):
            yield mel.picture(samples[start:])

    def _heard(self, content: Decoded) -> NDArray[np.int16]:
        samples = at_rate(_recording(content), self.mel.rate)
        return at_full_volume(samples) if self.full_volume else samples

    def patches(self, pixels: Arrays) -> Patches:
        """Squares of a spectrogram."""
        assert self.patch is not None
        assert self.frames is not None
        return measured(pixels, self.bands // self.patch, self.frames // self.patch, self.patch, mel=self.mel)

    def told(self) -> str:
        """Length, rate and bands."""
        mel = self.mel
        volume = "" if self.full_volume else ", as loud as recorded"
        return f"{mel.samples / mel.rate:.2f} s at {mel.rate:,} samples a second, {mel.bands} bands{volume}"


def _recording(content: Decoded) -> Recording:
    assert isinstance(content, Recording)
    return content
