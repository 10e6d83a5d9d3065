"""What a folder of pictures, recordings or clips holds that is nearest to one of them, by the vectors of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.analysis.pictures import draw_rows
from headwater.data.asides import is_whole, made_aside
from headwater.data.cutting import Cut, cut_like
from headwater.data.examples import Example
from headwater.data.kinds import PathLike
from headwater.data.labelled_media import read_labelled_media
from headwater.data.sequencers import Patches
from headwater.data.store import cache_folder, store_key
from headwater.data.vector_store import unit
from headwater.errors import BadDataError, StorageError
from headwater.run.answering import picture_of
from headwater.run.fitting import inputs_of
from headwater.run.labelled import left_out
from headwater.run.reading import Reader
from headwater.training.progress import Progress

FORMAT = 1
_FILES = ("vectors.npy",)


@dataclass(frozen=True, slots=True)
class MediaSearch:
    """A shipped model that finds what looks or sounds alike; ``model`` is the digest of its weights."""

    reader: Reader
    model: str
    progress: Progress

    @property
    def cut(self) -> Cut:
        """How the model reads them."""
        assert isinstance(self.reader.sequencer, Patches)
        return cut_like(self.reader.sequencer)

    def answers(
        self, corpus: PathLike, queries: Sequence[str], top: int, sheet: Path | None = None
    ) -> Iterator[dict[str, Any]]:
        """The ``top`` nearest to each file of ``queries`` by cosine, with their places and, where known, their labels.

        ``sheet`` is where they are drawn, a line for each query, which stands in front. Raises BadDataError for a
        query that cannot be read.
        """
        asked = [self._asked(query) for query in queries]
        found = read_labelled_media(corpus, need_labels=False, cut=self.cut, every_part=True)
        for line in left_out(found.problems):
            self.progress.say(line)
        vectors = self._vectors(found.examples)
        cosines = unit(self._embedded(asked)) @ vectors.T
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :top]
        if sheet is not None:
            lines = [
                [pixels, *(self._pixels(found.examples[place]) for place in places)]
                for pixels, places in zip(asked, order.tolist(), strict=True)
            ]
            draw_rows([np.stack([self.cut.shown(pixels) for pixels in line]) for line in lines], sheet)
        for query, places, scores in zip(queries, order.tolist(), cosines, strict=True):
            hits = [
                {"rank": rank, "score": round(float(scores[place]), 6), **_place(found.examples[place])}
                for rank, place in enumerate(places, 1)
            ]
            yield {"query": query, "hits": hits}

    def _asked(self, query: str) -> NDArray[np.uint8]:
        try:
            return picture_of(query, self.cut)
        except BadDataError as problem:
            what = self.cut.what
            raise BadDataError(f"this run finds {what} by the name of one: {problem}") from problem

    def _vectors(self, rows: Sequence[Example]) -> NDArray[np.float32]:
        """Unit vectors of all rows, from the cache where neither they nor the model have changed."""
        key = store_key(media=FORMAT, model=self.model, rows=[row.digest for row in rows])
        folder = cache_folder() / "media-vectors" / key
        if not is_whole(folder, _FILES):
            self.progress.say(f"{len(rows):,} {self.cut.what} are embedded, and their vectors kept")
            vectors = unit(self._embedded([self._pixels(row) for row in rows]))
            try:
                with made_aside(folder, _FILES) as aside:
                    np.save(aside / _FILES[0], vectors)
            except OSError as error:
                raise StorageError(
                    f"vectors cannot be kept in {folder.parent}: {error}; make room or give access there, or name "
                    "another folder with HEADWATER_CACHE"
                ) from error
        return np.load(folder / _FILES[0])

    def _embedded(self, pixels: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self.reader.vectors(inputs_of(pixels, self.reader.sequencer))

    @staticmethod
    def _pixels(row: Example) -> NDArray[np.uint8]:
        assert row.pixels is not None
        return row.pixels


def _place(row: Example) -> dict[str, Any]:
    place: dict[str, Any] = {"path": row.path, "row": row.row}
    return place | ({} if row.label is None else {"label": row.label})
