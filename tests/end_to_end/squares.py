"""Pictures of one square, whose colour and place can be said in words."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230), "white": (240, 240, 240)}
PLACES = ("top", "bottom", "left", "right")


def draw(path: Path, colour: str, place: str, seed: int) -> None:
    """One of 16 × 16, the rest of it dark noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (16, 16, 3), dtype=np.uint8)
    along = slice(0, 6) if place in ("top", "left") else slice(10, 16)
    across = slice(5, 11)
    where = (along, across) if place in ("top", "bottom") else (across, along)
    pixels[where] = COLOURS[colour]
    Image.fromarray(pixels).save(path)
