"""Vectors on disk: what is nearest, whatever the blocks."""

from pathlib import Path

import numpy as np
import pytest

from headwater.data import vector_store
from headwater.data.vector_store import VectorBlock, VectorStore, VectorWriter, unit

WIDTH = 6
COUNTS = np.random.default_rng(0).integers(1, 4, 40)  # windows of each document


@pytest.fixture
def windows() -> VectorBlock:
    rng = np.random.default_rng(1)
    documents = np.repeat(np.arange(len(COUNTS)), COUNTS)
    spans = np.stack([np.arange(len(documents)), np.arange(len(documents)) + 5], axis=1)
    return VectorBlock(
        documents, spans, unit(rng.standard_normal((len(documents), WIDTH)).astype(np.float32))
    )


@pytest.fixture
def store(windows: VectorBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VectorStore:
    """Written document by document, in blocks of a few windows."""
    monkeypatch.setattr(vector_store, "_WINDOWS_A_BLOCK", 7)
    with VectorWriter(tmp_path / "vectors.arrow", WIDTH) as writer:
        for number in range(len(COUNTS)):
            writer.add(windows.of(number))
    return VectorStore(tmp_path / "vectors.arrow")


def brute_force(windows: VectorBlock, query: np.ndarray, top: int) -> list[tuple[int, float]]:
    best: dict[int, float] = {}
    for document, vector in zip(windows.documents.tolist(), windows.vectors, strict=True):
        best[document] = max(best.get(document, -2.0), float(vector @ query))
    return sorted(best.items(), key=lambda found: -found[1])[:top]


@pytest.mark.parametrize("top", [1, 5, 100])
def test_the_nearest_documents_are_those_of_a_plain_search(
    store: VectorStore, windows: VectorBlock, top: int
) -> None:
    queries = unit(np.random.default_rng(2).standard_normal((3, WIDTH)).astype(np.float32))
    scores, documents = store.nearest(queries, top)
    assert len(store) > 5
    for query, found, numbers in zip(queries, scores, documents, strict=True):
        expected = brute_force(windows, query, top)
        assert numbers.tolist() == [document for document, _ in expected]
        np.testing.assert_allclose(found, [score for _, score in expected], rtol=1e-5, atol=1e-6)


def test_equal_documents_stand_in_their_order(tmp_path: Path) -> None:
    vectors = np.ones((5, WIDTH), np.float32)
    with VectorWriter(tmp_path / "vectors.arrow", WIDTH) as writer:
        writer.add(VectorBlock(np.arange(5), np.zeros((5, 2), np.int64), vectors))
    _, documents = VectorStore(tmp_path / "vectors.arrow").nearest(vectors[:1], 5)
    assert documents.tolist() == [[0, 1, 2, 3, 4]]


def test_the_windows_of_a_document_come_back(store: VectorStore, windows: VectorBlock) -> None:
    for number in range(len(COUNTS)):
        found, own = store.of(number), windows.of(number)
        assert found.spans.tolist() == own.spans.tolist()
        assert np.array_equal(found.vectors, own.vectors)


def test_vectors_are_a_view_of_the_file(store: VectorStore) -> None:
    assert all(not block.vectors.flags.owndata for block in store)


def test_a_vector_of_nothing_stays_finite() -> None:
    assert unit(np.zeros((1, 3), np.float32)).tolist() == [[0.0, 0.0, 0.0]]
