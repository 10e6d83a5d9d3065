"""The vectors of documents on disk, one or several a document, read block by block without copying.

The file is an ordinary Arrow IPC file; a row is a window of a document: ``document`` (its number), ``start`` and
``stop`` (its characters) and ``vector``. A block holds all windows of its documents. Shape letters: W windows, N
documents, C width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

pa: Any = pyarrow  # it ships no types

Integers = NDArray[np.int64]
Vectors = NDArray[np.float32]
_WINDOWS_A_BLOCK = 8192


def unit(vectors: Vectors) -> Vectors:
    """Vectors of length 1: their products are cosines."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-12))


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """The windows of some documents that follow each other, those of one behind those of the one before."""

    documents: Integers  # (W,) the number of each window's document
    spans: Integers  # (W, 2) from which character to which
    vectors: Vectors  # (W, C)

    @property
    def numbers(self) -> range:
        """The documents that are here."""
        return range(int(self.documents[0]), int(self.documents[-1]) + 1)

    def of(self, document: int) -> "VectorBlock":
        """The windows of one document."""
        own = slice(*np.searchsorted(self.documents, [document, document + 1]))
        return VectorBlock(self.documents[own], self.spans[own], self.vectors[own])

    def scores(self, queries: Vectors) -> Vectors:
        """The product of each query (Q, C) with each document, which is that with its best window: (Q, N)."""
        first = np.searchsorted(self.documents, np.array(self.numbers))
        return np.maximum.reduceat(queries @ self.vectors.T, first, axis=1)


class VectorWriter:
    """Writes blocks as documents come; a ``with`` block that ends well leaves a whole file."""

    def __init__(self, path: Path, width: int) -> None:
        names = ("document", "start", "stop")
        vector = ("vector", pa.list_(pa.float32(), width))
        self._schema = pa.schema([*((name, pa.int64()) for name in names), vector])
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, self._schema)
        self._waiting: list[VectorBlock] = []

    def add(self, block: VectorBlock) -> None:
        """Write the windows of the documents that come next."""
        self._waiting.append(block)
        if sum(len(waiting.documents) for waiting in self._waiting) >= _WINDOWS_A_BLOCK:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        documents, spans, vectors = (
            np.concatenate([getattr(waiting, name) for waiting in self._waiting])
            for name in ("documents", "spans", "vectors")
        )
        self._waiting = []
        flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        arrays = [pa.array(documents), pa.array(spans[:, 0]), pa.array(spans[:, 1]), flat]
        self._writer.write(pa.record_batch(arrays, self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        self._sink.close()


class VectorStore:
    """The blocks of one corpus."""

    def __init__(self, path: Path) -> None:
        self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        self._starts = [int(self._batch(number)[0][0].as_py()) for number in range(len(self))]

    def __len__(self) -> int:
        return self._file.num_record_batches

    def __iter__(self) -> Iterator[VectorBlock]:
        yield from map(self._block, range(len(self)))

    def nearest(self, queries: Vectors, top: int) -> tuple[Vectors, Integers]:
        """The ``top`` highest scores of each query (Q, C), the highest first, and their documents: (Q, ≤ top) each.

        One block is scored at a time, so memory does not grow with the corpus.
        """
        scores, documents = np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
        for block in self:
            found = block.scores(queries)
            best = np.argpartition(-found, min(top, found.shape[1]) - 1, axis=1)[:, :top]
            scores = np.concatenate([scores, np.take_along_axis(found, best, axis=1)], axis=1)
            documents = np.concatenate([documents, best + block.numbers.start], axis=1)
            order = np.lexsort((documents, -scores), axis=1)[:, :top]
            scores = np.take_along_axis(scores, order, axis=1)
            documents = np.take_along_axis(documents, order, axis=1)
        return scores, documents

    def of(self, document: int) -> VectorBlock:
        """The windows of one document."""
        return self._block(int(np.searchsorted(self._starts, document, side="right")) - 1).of(document)

    def _batch(self, number: int) -> Any:
        return self._file.get_batch(number)

    def _block(self, number: int) -> VectorBlock:
        documents, starts, stops, vectors = self._batch(number).columns
        flat = vectors.flatten().to_numpy(zero_copy_only=True)
        spans = np.stack([starts.to_numpy(), stops.to_numpy()], axis=1)
        return VectorBlock(documents.to_numpy(), spans, flat.reshape(len(documents), -1))
