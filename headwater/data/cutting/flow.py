"""How a clip moves: the optical flow between the frames that are seen of it, as film strips.

Shape letters: T frames, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.array_file import Arrays
from headwater.data.cutting.clips import ClipCut
from headwater.data.cutting.cut import Check
from headwater.data.cutting.pictures import square
from headwater.data.files import Source
from headwater.data.readers.libraries import media_library
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers.patches import STILL, Patches, in_colour
from headwater.errors import BadDataError

STEPS_A_PIXEL = 8
"""Shades that a pixel of movement makes; more than 16 pixels are as many."""
_SMALLEST_SIDE = 16


@dataclass(frozen=True, slots=True)
class FlowCut(ClipCut):
    """Movement to the right and down, in eighths of a pixel, from each frame to the next; that of the last again.

    Source: Farnebäck 2003, doi:10.1007/3-540-45103-X_50, as OpenCV computes it.
    """

    channels: int | None = 2

    what: ClassVar[str] = "clips' movements"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**super(FlowCut, self).to_dict(), "modality": "flow"}

    def fitted(self, sources: Sequence[Source], check: Check | None = None) -> Self:
        """As a clip is seen."""
        found = super(FlowCut, self).fitted(sources, check)
        if (found.side or 0) < _SMALLEST_SIDE:
            raise BadDataError(
                f"clips of {found.side} pixels are too small to tell how they move; expected {_SMALLEST_SIDE} or more: "
                "--set data.side"
            )
        return found

    def seen(self, frames: Pixels) -> Pixels:
        """(T, H, W, K) → (T, side, side, 2)."""
        assert self.side is not None
        grey = [square(frame, self.side, 1)[..., 0] for frame in frames]
        moves = [flow(before, after) for before, after in pairwise(grey)]
        shades = np.stack([*moves, moves[-1]]) * STEPS_A_PIXEL + STILL
        return shades.round().clip(0, 255).astype(np.uint8)

    def patches(self, pixels: Arrays) -> Patches:
        """Squares of pairs of movements."""
        return super(FlowCut, self).patches(pixels).moving()

    def shown(self, pixels: Pixels) -> Pixels:
        """All movements side by side."""
        assert self.frames is not None
        return in_colour(super(FlowCut, self).shown(pixels))

    def told(self) -> str:
        """Frames and side."""
        return f"movement between {self.frames} frames, {self.side} × {self.side}"


def flow(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far each pixel (H, W) of one frame has moved in the next, to the right and down: (H, W, 2)."""
    cv2 = media_library("cv2")
    pyramid, levels, window, rounds, reach, sigma = 0.5, 3, 9, 3, 5, 1.1
    return cv2.calcOpticalFlowFarneback(before, after, None, pyramid, levels, window, rounds, reach, sigma, 0)
