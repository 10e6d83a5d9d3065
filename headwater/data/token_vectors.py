"""What a corpus says about its tokens by counting alone: tokens that keep the same company get like vectors.

PMI(a, b) = ln(n_ab · n / (n_a · n_b)), negative values cut off, the context's frequency smoothed by the power
3/4; the vectors are the leading singular vectors of that matrix, scaled by the square roots of its singular
values: what skip-gram word vectors factorise implicitly (Levy and Goldberg 2014, and the smoothing of Levy,
Goldberg and Dagan 2015, section 3.1, doi:10.1162/tacl_a_00134). Seconds of counting in place of the
part of a run in which a model learns nothing but which words go together. Shape letters: V vocabulary, K contexts.
"""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from headwater.data.store import Store

WINDOW = 5
"""Tokens to either side that are company."""
_SMOOTHING = 0.75
_MOST_CELLS = 1 << 27  # counts held at a time: 512 MiB
_MOST_TOKENS = 1 << 25  # of a larger corpus every few documents are counted
_TOKENS_A_CHUNK = 1 << 21

Matrix = NDArray[np.float32]
Integers = NDArray[np.int64]
Check = Callable[[], None]


def token_vectors(store: Store, vocabulary_size: int, width: int, *, check: Check | None = None) -> Matrix:
    """A vector for every token that occurs with others, zero for the rest: (V, width).

    The mean square over all vectors is 1; a token that keeps any company, as "the" does, has a short one.
    ``check`` is asked now and then, and raises to stop.
    """
    check = check or _go_on
    associations = _associations(store, vocabulary_size, check)
    alone = ~associations.any(axis=1)
    if alone.all():
        return np.zeros((vocabulary_size, width), np.float32)
    vectors = _leading(associations, width)
    check()
    vectors[alone] = 0.0
    size = np.sqrt(np.square(vectors[~alone]).mean())
    return vectors / size if size > 0 else vectors


def kept_token_vectors(
    folder: Path, store: Store, vocabulary_size: int, width: int, *, check: Check | None = None
) -> Matrix:
    """``token_vectors``, counted once and kept in ``folder``; what was damaged there is counted again."""
    path = folder / f"company-{width}.safetensors"
    kept = _read(path)
    if kept is not None and kept.shape == (vocabulary_size, width):
        return kept
    vectors = token_vectors(store, vocabulary_size, width, check=check)
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        save_file({"vectors": vectors}, aside, metadata={"checksum": _checksum(vectors)})
        aside.replace(path)
    except (OSError, SafetensorError):
        aside.unlink(missing_ok=True)  # a full or read-only cache: counted again next time
    return vectors


def _read(path: Path) -> Matrix | None:
    try:
        with safe_open(path, framework="np") as file:
            vectors: Matrix = file.get_tensor("vectors")
            intact = (file.metadata() or {}).get("checksum") == _checksum(vectors)
    except (OSError, SafetensorError):
        return None
    return vectors if intact else None


def _checksum(vectors: Matrix) -> str:
    return f"{zlib.crc32(vectors.tobytes()):08x}"


def _associations(store: Store, vocabulary_size: int, check: Check) -> Matrix:
    """Positive smoothed PMI of every token with the most frequent ones: (V, K)."""
    totals = np.bincount(store.tokens, minlength=vocabulary_size)
    contexts = np.argsort(-totals, kind="stable")[: max(1, _MOST_CELLS // vocabulary_size)]
    place = np.full(vocabulary_size, -1)
    place[contexts] = np.arange(len(contexts))
    counts = np.zeros((vocabulary_size, len(contexts)), np.float32)
    for tokens, documents in _chunks(store):
        for distance in range(1, WINDOW + 1):
            check()
            near = documents[distance:] == documents[:-distance]
            before, after = tokens[:-distance][near], tokens[distance:][near]
            _count(counts, before, place[after])
            _count(counts, after, place[before])
    return _positive_information(counts)


def _chunks(store: Store) -> Iterator[tuple[Integers, Integers]]:
    """Tokens one after another with the number of the document of each; documents stay whole."""
    step = -(-len(store.tokens) // _MOST_TOKENS) or 1
    borders = np.searchsorted(store.offsets, np.arange(0, len(store.tokens), _TOKENS_A_CHUNK))
    for first, last in zip(borders, [*borders[1:], len(store)], strict=True):
        chosen = range(int(first), int(last), step)
        if not len(chosen):
            continue
        tokens = [store[number].astype(np.int64) for number in chosen]
        yield np.concatenate(tokens), np.repeat(np.arange(len(tokens)), [len(part) for part in tokens])


def _count(counts: Matrix, rows: Integers, columns: Integers) -> None:
    known = columns >= 0
    np.add.at(counts.reshape(-1), rows[known] * counts.shape[1] + columns[known], np.float32(1))


def _positive_information(counts: Matrix) -> Matrix:
    """max(0, ln p(b | a) / p(b)), in place of the counts; a pair never met tells nothing."""
    of_token = counts.sum(axis=1, keepdims=True, dtype=np.float64)
    of_context = counts.sum(axis=0, dtype=np.float64) ** _SMOOTHING
    counts /= np.maximum(of_token, 1.0).astype(np.float32)
    counts /= np.maximum(of_context / max(of_context.sum(), 1.0), 1e-30).astype(np.float32)
    np.maximum(counts, 1.0, out=counts)
    return np.log(counts, out=counts)


def _leading(matrix: Matrix, width: int) -> Matrix:
    """The leading left singular vectors times √σ: (V, width); columns beyond the rank are zero."""
    from sklearn.utils.extmath import randomized_svd

    rank = min(width, *matrix.shape)
    left, values, _ = randomized_svd(matrix, rank, n_oversamples=16, n_iter=cast(Any, 2), random_state=0)
    vectors = np.zeros((len(matrix), width), np.float32)
    vectors[:, :rank] = left * np.sqrt(values)
    return vectors


def _go_on() -> None:
    """Nobody asks to stop."""
