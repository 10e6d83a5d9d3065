"""Pictures that are the same but for their size or their encoding.

Shape letters: N pictures, M held-out ones, H height, W width, K channels, D numbers of a sketch.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from headwater.data.readers.pictures import Pixels

GRID = 16
MOST_APART = 12.0
"""Shades of 256 by which no square of the grid may differ.

Copies of photographs of another size or in another JPEG quality stay below it; of 2,000 test pictures of CIFAR-10,
1,000 of MNIST and 600 of the sprites none is that near to one of the training pictures (docs/log.md, 2026-11-29).
"""
_NEAREST = 4
BLOCK = 256
"""Arrays that are compared at once."""
Sketch = NDArray[np.float32]
Sketches = NDArray[np.uint8]
"""Many of them, rounded to whole shades: (N, D)."""


def sketch_of(pixels: Pixels) -> Sketch:
    """The mean shades of 16 × 16 squares of an array: (H, W, K) → (D,)."""
    numbers = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
    return F.adaptive_avg_pool2d(numbers, GRID).flatten().numpy()


def sketches_of(pictures: Sequence[Pixels] | Pixels) -> Sketches:
    """The sketches of many arrays of one size, rounded: (N, H, W, K) → (N, D)."""
    found = [
        np.stack([sketch_of(pixels) for pixels in pictures[start : start + BLOCK]]).round().astype(np.uint8)
        for start in range(0, len(pictures), BLOCK)
    ]
    return np.concatenate(found) if found else np.zeros((0, 0), np.uint8)


def nearly_equal(some: Sketch | Sketches, held_out: Sketch | Sketches) -> NDArray[np.bool_]:
    """Which of these (N, D) differ from one of the held-out ones (M, D) by at most ``MOST_APART`` anywhere.

    Of the four nearest by distance; (N,).
    """
    others = torch.from_numpy(held_out).float()
    found: list[NDArray[np.bool_]] = []
    for start in range(0, len(some), BLOCK):
        block = torch.from_numpy(some[start : start + BLOCK]).float()
        nearest = torch.cdist(block, others).topk(min(_NEAREST, len(others)), dim=1, largest=False).indices
        apart = (others[nearest] - block[:, None]).abs().amax(dim=2).amin(dim=1)
        found.append((apart <= MOST_APART).numpy())
    return np.concatenate(found) if found else np.zeros(0, np.bool_)
