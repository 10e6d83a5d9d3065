"""Token vectors by counting, against the counts and the decomposition written out."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from headwater.data.store import Store, write_store
from headwater.data.token_vectors import WINDOW, kept_token_vectors, token_vectors

VOCABULARY = 30
UNMET = VOCABULARY - 1


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rng = np.random.default_rng(0)
    # Two topics of ten tokens each, nine tokens that both share, and one that is never met.
    topics = [np.r_[0:10, 20:29], np.r_[10:20, 20:29]]
    documents = [
        rng.choice(topics[number % 2], rng.integers(1, 40)).astype(np.uint16) for number in range(200)
    ]
    return write_store(tmp_path / "train.arrow", documents, range(200))


def written_out(store: Store, width: int) -> NDArray[np.float64]:
    """The same by loops over pairs and a full decomposition."""
    counts = np.zeros((VOCABULARY, VOCABULARY))
    for number in range(len(store)):
        document = store[number].tolist()
        for here, token in enumerate(document):
            for there, other in enumerate(document):
                if here != there and abs(here - there) <= WINDOW:
                    counts[token, other] += 1
    context = counts.sum(0) ** 0.75 / (counts.sum(0) ** 0.75).sum()
    expected = counts.sum(1, keepdims=True) * context
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.where(counts > 0, np.maximum(np.log(counts / expected), 0), 0)
    left, values, _ = np.linalg.svd(information)
    vectors = left[:, :width] * np.sqrt(values[:width])
    vectors[UNMET] = 0
    return vectors / np.sqrt((vectors[:UNMET] ** 2).mean())


def test_vectors_are_those_of_the_equation(store: Store) -> None:
    found = token_vectors(store, VOCABULARY, 8)
    expected = written_out(store, 8)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.02)  # signs are free


def test_tokens_of_one_topic_lie_closer_than_tokens_of_two(store: Store) -> None:
    vectors = token_vectors(store, VOCABULARY, 8)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    near = unit @ unit.T
    assert near[:10, :10].mean() > near[:10, 10:20].mean() + 0.3


def test_a_token_that_is_never_met_has_no_vector_and_the_others_a_mean_square_of_one(store: Store) -> None:
    sizes = np.square(token_vectors(store, VOCABULARY, 8)).mean(1)
    assert sizes[UNMET] == 0
    assert sizes[:UNMET].min() > 0
    assert sizes[:UNMET].mean() == pytest.approx(1.0, rel=1e-5)


def test_a_token_that_keeps_any_company_has_a_short_vector(store: Store) -> None:
    sizes = np.square(token_vectors(store, VOCABULARY, 8)).mean(1)
    assert sizes[20:29].max() < sizes[:20].min()


def test_documents_do_not_keep_each_other_company(tmp_path: Path) -> None:
    alone = [np.array([token], np.uint16) for token in range(5)] * 3
    store = write_store(tmp_path / "train.arrow", alone, range(15))
    assert not token_vectors(store, VOCABULARY, 8).any()


def test_vectors_are_counted_once_and_again_when_damaged(store: Store, tmp_path: Path) -> None:
    first = kept_token_vectors(tmp_path, store, VOCABULARY, 8)
    (kept,) = tmp_path.glob("company-8.*")
    content = bytearray(kept.read_bytes())
    stamp = kept.stat().st_mtime_ns
    np.testing.assert_array_equal(kept_token_vectors(tmp_path, store, VOCABULARY, 8), first)
    assert kept.stat().st_mtime_ns == stamp
    content[-3] ^= 1
    kept.write_bytes(content)
    np.testing.assert_array_equal(kept_token_vectors(tmp_path, store, VOCABULARY, 8), first)
    assert kept.read_bytes() != bytes(content)


def test_a_narrow_corpus_fills_a_wide_vector_with_zeros(store: Store) -> None:
    vectors = token_vectors(store, VOCABULARY, 64)
    assert vectors.shape == (VOCABULARY, 64)
    assert np.isfinite(vectors).all()


def test_who_asks_to_stop_is_heard(store: Store) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        token_vectors(store, VOCABULARY, 8, check=stop)
