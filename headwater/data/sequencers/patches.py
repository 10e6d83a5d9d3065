"""Pictures ↔ sequences of patches.

Shape letters: B pictures, H height, W width, K channels, N patches, P numbers of a patch, T frames, S slices of time.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.readers.pictures import Pixels
from headwater.data.spectrogram import Mel
from headwater.errors import BadDataError
from headwater.sequence import SequenceLayout

PROCESSOR = "preprocessor_config.json"
STILL = 128
"""The shade of what does not move."""
TUBELET = 2
"""Frames that one patch of a clip reaches through."""
_MEL, _FILM = "headwater_mel", "headwater_film"


@dataclass(frozen=True, slots=True)
class Film:
    """How a clip becomes a picture: a strip of ``slices`` pairs of frames, over ``seconds`` of it (0: all of it).

    With ``flow`` a frame is not what is seen, but how it moves: to the right, and down.
    """

    slices: int
    seconds: float
    flow: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Patches:
    """Squares of ``side`` pixels, line by line, their numbers in the order channel, line, column.

    Pixels 0 … 255 become (pixel / 255 − mean) / deviation, channel by channel. Position 0 is that of [CLS], whose
    numbers are zeros that nobody reads.
    """

    rows: int
    columns: int
    side: int
    channels: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    mel: Mel | None = None
    """How a recording becomes a picture; None of pictures."""
    film: Film | None = None
    """How a clip becomes a picture; None of pictures."""

    @property
    def count(self) -> int:
        """N, patches of a picture."""
        return self.rows * self.columns

    @property
    def length(self) -> int:
        """Positions of a picture, [CLS] included."""
        return self.count + 1

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.rows * self.side

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.columns * self.side

    @property
    def slices(self) -> int:
        """S of a clip; 1 of pictures and recordings."""
        return 1 if self.film is None else self.film.slices

    @property
    def colour(self) -> bool:
        """Whether a pixel has more than one value."""
        return self.channels > (1 if self.film is None else TUBELET)

    @property
    def digest(self) -> str:
        """What tells it from others."""
        return hashlib.blake2b(json.dumps(asdict(self)).encode(), digest_size=16).hexdigest()

    def patched(self, pixels: Pixels) -> Tensor:
        """Pixels (B, H, W, K) as patches (B, N, P) of numbers with a mean near 0 and a deviation near 1."""
        found = torch.empty(len(pixels), self.count, self.channels * self.side**2)
        self._fill(found, pixels)
        return found

    def _fill(self, patches: Tensor, pixels: Pixels) -> None:
        """Pixels into ``patches``, sorted while they are bytes: as numbers they are four times as large."""
        side, count, channels = self.side, len(pixels), self.channels
        squares = np.reshape(pixels, (count, self.rows, side, self.columns, side, channels))
        sorted_bytes = np.ascontiguousarray(squares.transpose(0, 1, 3, 5, 2, 4))
        numbers = patches.unflatten(2, (channels, side * side))
        mean, deviation = (torch.tensor(values)[:, None] for values in (self.mean, self.deviation))
        numbers.copy_(torch.from_numpy(sorted_bytes).view(numbers.shape))
        numbers.div_(255.0).sub_(mean).div_(deviation)

    def cut(self, numbers: Tensor) -> Tensor:
        """(B, K, H, W) → (B, N, P)."""
        side = self.side
        squares = numbers.unflatten(3, (self.columns, side)).unflatten(2, (self.rows, side))
        return squares.permute(0, 2, 4, 1, 3, 5).reshape(len(numbers), self.count, -1)

    def joined(self, patches: Tensor) -> Tensor:
        """The reverse of ``cut``: (B, N, P) → (B, K, H, W)."""
        squares = patches.view(len(patches), self.rows, self.columns, self.channels, self.side, self.side)
        return squares.permute(0, 3, 1, 4, 2, 5).reshape(len(patches), self.channels, self.height, self.width)

    def layered(self, numbers: Tensor) -> Tensor:
        """(B, K, S · H, W) → (B, S · K, H, W): the slices of a clip as one picture of many channels."""
        return numbers.unflatten(2, (self.slices, -1)).transpose(1, 2).flatten(1, 2)

    def unlayered(self, numbers: Tensor) -> Tensor:
        """The reverse of ``layered``."""
        return numbers.unflatten(1, (self.slices, -1)).transpose(1, 2).flatten(2, 3)

    def sequences(self, pixels: Pixels) -> tuple[Tensor, SequenceLayout]:
        """Pixels (B, H, W, K) as a batch reads them: (B, 1 + N, P), and their layout."""
        inputs = torch.empty(len(pixels), self.length, self.channels * self.side**2)
        inputs[:, 0] = 0.0
        self._fill(inputs[:, 1:], pixels)
        return inputs, SequenceLayout.dense(*inputs.shape[:2])

    def pixels(self, patches: Tensor) -> Pixels:
        """Patches (B, N, P) as pixels (B, H, W, K), what lies beyond black and white cut off."""
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (self.mean, self.deviation))
        numbers = self.joined(patches.detach().float().cpu()) * deviation + mean
        found: NDArray[Any] = numbers.mul(255.0).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        return found

    def shown(self, pixels: Pixels) -> Pixels:
        """Pixels (B, H, W, K) as a person looks at them: of a clip all frames side by side."""
        if self.film is None:
            return pixels
        frames = side_by_side(pixels, self.film.slices)
        return in_colour(frames) if self.film.flow else frames

    def moving(self) -> Self:
        """The same for frames that hold movement."""
        assert self.film is not None
        return replace(self, film=replace(self.film, flow=True))

    def moving_pictures(self, pixels: Pixels) -> Pixels:
        """Strips (B, S · H, W, 2 K) as clips that a person looks at: (B, T, H, W, K)."""
        assert self.film is not None
        frames = frames_of(pixels, self.film.slices)
        return in_colour(frames) if self.film.flow else frames

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reverse of ``to_dict``, as JSON knows it."""
        mel, film = values["mel"], values["film"]
        ways: dict[str, Any] = {
            "mean": tuple(values["mean"]),
            "deviation": tuple(values["deviation"]),
            "mel": None if mel is None else Mel(**mel),
            "film": None if film is None else Film(**film),
        }
        return cls(**{**values, **ways})

    def save(self, folder: Path) -> None:
        """Write ``preprocessor_config.json`` as transformers' ViT reads it."""
        words = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": self.height, "width": self.width},
            "resample": 2,  # bilinear
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.deviation),
            "patch_size": self.side,
            **({} if self.mel is None else {_MEL: asdict(self.mel)}),
            **({} if self.film is None else {_FILM: asdict(self.film)}),
        }
        (folder / PROCESSOR).write_text(json.dumps(words, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls, folder: Path, *, rows: int, columns: int, side: int, channels: int, slices: int = 1
    ) -> Self:
        """What ``save`` wrote, or transformers, for a model of such patches; BadDataError where it is missing."""
        try:
            words: Mapping[str, Any] = json.loads((folder / PROCESSOR).read_text(encoding="utf-8"))
            mean, deviation = (tuple(map(float, words[name])) for name in ("image_mean", "image_std"))
            mel = Mel(**words[_MEL]) if _MEL in words else None
            film = Film(**words[_FILM]) if _FILM in words else None
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise BadDataError(
                f"{folder / PROCESSOR} does not say how bright pictures are ({problem}); fetch or make the folder again"
            ) from problem
        if len(mean) != channels or len(deviation) != channels:
            raise BadDataError(
                f"{folder / PROCESSOR} speaks of {len(mean)} channel(s), and the model reads {channels}; fetch or make "
                "the folder again"
            )
        if slices != (film.slices if film else 1):
            raise BadDataError(
                f"{folder / PROCESSOR} does not say how a clip becomes {slices} slices; fetch or make the folder again"
            )
        return cls(
            rows=rows,
            columns=columns,
            side=side,
            channels=channels,
            mean=mean,
            deviation=deviation,
            mel=mel,
            film=film,
        )


def in_colour(moves: Pixels) -> Pixels:
    """Movement (…, 2) as a person looks at it, (…, 3): redder to the right, greener down."""
    return np.concatenate((moves, np.full_like(moves[..., :1], STILL)), axis=-1)


def film_strip(frames: Pixels) -> Pixels:
    """Frames (T, H, W, K) → (S · H, W, 2 K): pairs of frames one below the other, of each channel both."""
    count, height, width, channels = frames.shape
    pairs = frames.reshape(count // TUBELET, TUBELET, height, width, channels)
    return np.ascontiguousarray(pairs.transpose(0, 2, 3, 4, 1)).reshape(-1, width, channels * TUBELET)


def side_by_side(strips: Pixels, slices: int) -> Pixels:
    """(B, S · H, W, 2 K) → (B, H, T · W, K)."""
    frames = frames_of(strips, slices)
    return frames.transpose(0, 2, 1, 3, 4).reshape(len(strips), frames.shape[2], -1, frames.shape[4])


def frames_of(strips: Pixels, slices: int) -> Pixels:
    """The reverse, for many: (B, S · H, W, 2 K) → (B, T, H, W, K)."""
    clips, lines, width, channels = strips.shape
    pairs = strips.reshape(clips, slices, lines // slices, width, channels // TUBELET, TUBELET)
    return pairs.transpose(0, 1, 5, 2, 3, 4).reshape(clips, slices * TUBELET, lines // slices, width, -1)
