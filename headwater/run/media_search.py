"""What a folder of pictures, recordings or clips holds that is nearest to a question, by the vectors of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.analysis.pictures import draw_rows
from headwater.data.asides import is_whole, made_in_cache
from headwater.data.cutting import Cut, cut_like
from headwater.data.examples import Example
from headwater.data.kinds import PathLike
from headwater.data.labelled_media import read_labelled_media
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches
from headwater.data.store import cache_folder, store_key
from headwater.data.vector_store import unit
from headwater.run.asking import Question
from headwater.run.fitting import inputs_of
from headwater.run.labelled import left_out
from headwater.run.reading import Reader
from headwater.training.progress import Progress

FORMAT = 1
_FILES = ("vectors.npy",)


@dataclass(frozen=True, slots=True)
class MediaIndex:
    """What lies in a folder, and a vector of length 1 for each."""

    rows: Sequence[Example]
    vectors: NDArray[np.float32]
    cut: Cut

    @classmethod
    def of(cls, corpus: PathLike, reader: Reader, model: str, progress: Progress) -> "MediaIndex":
        """Read a file or folder as a model does that has the digest ``model``; its vectors are kept."""
        assert isinstance(reader.sequencer, Patches)
        cut = cut_like(reader.sequencer)
        found = read_labelled_media(corpus, need_labels=False, cut=cut, every_part=True)
        for line in left_out(found.problems):
            progress.say(line)
        key = store_key(media=FORMAT, model=model, rows=[row.digest for row in found.examples])
        folder = cache_folder() / "media-vectors" / key
        if not is_whole(folder, _FILES):
            progress.say(f"{len(found):,} {cut.what} are embedded, and their vectors kept")
            pixels = [_pixels(row) for row in found.examples]
            vectors = unit(reader.vectors(inputs_of(pixels, reader.sequencer)))
            with made_in_cache(folder, _FILES, "vectors cannot be kept") as aside:
                np.save(aside / _FILES[0], vectors)
        return cls(found.examples, np.load(folder / _FILES[0]), cut)

    def answer(self, question: Question, top: int, sheet: Path | None = None) -> dict[str, Any]:
        """The ``top`` nearest by cosine, with their places and, where known, their labels.

        ``sheet`` is where they are drawn, behind the question where that is of their kind.
        """
        cosines = self.vectors @ question.vector
        places = np.argsort(-cosines, kind="stable")[:top].tolist()
        if sheet is not None:
            seen = [_pixels(self.rows[place]) for place in places]
            if question.pixels is not None and question.pixels.shape == seen[0].shape:
                seen.insert(0, question.pixels)
            draw_rows([np.stack([self.cut.shown(pixels) for pixels in seen])], sheet)
        hits = [
            {"rank": rank, "score": round(float(cosines[place]), 6), **_place(self.rows[place])}
            for rank, place in enumerate(places, 1)
        ]
        return {"query": question.asked, "hits": hits}


def _pixels(row: Example) -> Pixels:
    assert row.pixels is not None
    return row.pixels


def _place(row: Example) -> dict[str, Any]:
    place: dict[str, Any] = {"path": row.path, "row": row.row}
    return place | ({} if row.label is None else {"label": row.label})
