"""Rows of pictures as one picture file. Shape letters: B pictures, H height, W width, K channels."""

import io
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from headwater.analysis.lettering import font_for, in_lines
from headwater.data.readers.pictures import as_seen
from headwater.errors import StorageError

SMALLEST_SIDE = 96
"""Pixels of a drawn picture: small ones are drawn larger."""
CAPTION_LETTERS = 13
"""Pixels of the letters of a text under a picture."""
SMALLEST_LETTERS = 15
"""Pixels; a wide sheet, which is looked at from further away, has larger ones."""
WIDEST = 2400
"""Pixels of a line, unless one picture alone is wider."""
MILLISECONDS = 150
"""That each frame of a moving picture is shown."""
_GAP = 4
_INK = "#444"


def draw_rows(
    rows: Sequence[NDArray[np.uint8]], path: Path, names: Sequence[str] = (), captions: Sequence[str] = ()
) -> bool:
    """Draw each of ``rows`` (B, H, W, K) as a line of pictures, one line below the other, its name before it.

    Of pictures as wide as the frames of a clip, side by side, there are fewer in a line, and more lines below these.
    ``captions`` are texts that stand under all lines, one a column. False where no font of this machine can draw
    them: then they are left out. Raises StorageError where the file cannot be written.
    """
    font = font_for(captions, CAPTION_LETTERS) if captions else None
    sheet = _sheet(rows, names, _Captions(captions, font) if font else None)
    with _written(path):
        sheet.save(path)
    return font is not None or not captions


def draw_moving(rows: Sequence[NDArray[np.uint8]], path: Path, names: Sequence[str] = ()) -> None:
    """Draw clips (B, T, H, W, K) in such lines as a GIF, all of them playing at once; StorageError as above."""
    frames = [_sheet([clips[:, time] for clips in rows], names) for time in range(rows[0].shape[1])]
    with _written(path):
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)


@dataclass(frozen=True, slots=True)
class _Captions:
    """Texts under columns."""

    texts: Sequence[str]
    font: ImageFont.FreeTypeFont

    def in_lines(self, width: int) -> list[str]:
        """Each as lines of a column that is so wide."""
        return ["\n".join(in_lines(text, self.font, width - _GAP)) for text in self.texts]

    def height(self, texts: Sequence[str]) -> int:
        """Pixels of the longest."""
        pen = ImageDraw.Draw(Image.new("L", (1, 1)))
        return 2 * _GAP + max(
            round(pen.multiline_textbbox((0, 0), text, font=self.font)[3]) for text in texts
        )


def _sheet(
    rows: Sequence[NDArray[np.uint8]], names: Sequence[str], captions: _Captions | None = None
) -> Image.Image:
    assert not names or len(rows) <= len(names), "every line has a name, or none"
    height, width = rows[0].shape[1:3]
    scale = _scale(rows[0][0])
    down, right = height * scale + _GAP, width * scale + _GAP
    columns = min(len(rows[0]), max(1, WIDEST // right))
    blocks = -(-len(rows[0]) // columns)
    words = captions.in_lines(right - _GAP) if captions else []
    under = captions.height(words) if captions else 0
    block = down * len(rows) + under + _GAP * (blocks > 1)
    letters = max(SMALLEST_LETTERS, min(right * columns // 90, height * scale // 2))
    font = ImageFont.load_default(letters) if names else None
    margin = (
        _GAP + max((2 * _GAP + round(font.getlength(name)) for name in names), default=0) if font else _GAP
    )
    sheet = Image.new("RGB", (margin + right * columns, block * blocks + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for line, pictures in enumerate(rows):
        for place in range(blocks if line < len(names) else 0):
            middle = _GAP + place * block + line * down + height * scale // 2
            pen.text((2 * _GAP, middle), names[line], fill=_INK, font=font, anchor="lm")
        for number, pixels in enumerate(pictures):
            place, column = divmod(number, columns)
            sheet.paste(_image(pixels, scale), (margin + column * right, _GAP + place * block + line * down))
    for number, text in enumerate(words):
        place, column = divmod(number, columns)
        top = place * block + down * len(rows) + _GAP
        pen.multiline_text((margin + column * right, top), text, fill=_INK, font=captions and captions.font)
    return sheet


@contextmanager
def _written(path: Path) -> Generator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as problem:
        raise StorageError(
            f"{path} cannot be written: {problem}; make room or give access there"
        ) from problem


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, K) as a PNG file, drawn larger where it is small."""
    stream = io.BytesIO()
    _image(pixels, _scale(pixels)).save(stream, "PNG")
    return stream.getvalue()


def _scale(pixels: NDArray[np.uint8]) -> int:
    return max(1, -(-SMALLEST_SIDE // min(pixels.shape[:2])))


def _image(pixels: NDArray[np.uint8], scale: int) -> Image.Image:
    pixels = as_seen(pixels)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else np.ascontiguousarray(pixels))
    image = image.convert("RGB")
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
