"""Prepared sequences: what is written is what is read, or the reader says so."""

import errno
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headwater.data import store as store_module
from headwater.data.store import Store, cache_folder, store_key, write_store
from headwater.errors import MissingInputError, StorageError

DOCUMENTS = [np.array(tokens, np.uint16) for tokens in ([5, 6, 7], [], [65_535], [1] * 10_000)]
DIGESTS = [2**64 - 1, 0, 7, 8]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return write_store(tmp_path / "train.arrow", DOCUMENTS, DIGESTS)


def test_documents_come_back_in_their_order(store: Store):
    assert [store[number].tolist() for number in range(len(store))] == [d.tolist() for d in DOCUMENTS]
    assert store.lengths.tolist() == [3, 0, 1, 10_000]
    assert store.digests.tolist() == DIGESTS


def test_tokens_are_a_view_of_the_file(store: Store):
    assert not store.tokens.flags.owndata
    assert not store.tokens.flags.writeable
    assert store.tokens.dtype == np.uint16


def test_other_arrow_readers_understand_the_file(store: Store):
    table = pa.ipc.open_file(str(store.path)).read_all()
    assert table.column("tokens").to_pylist()[:3] == [[5, 6, 7], [], [65_535]]
    assert table.column("digest").to_pylist() == DIGESTS


def test_large_vocabularies_take_four_bytes(tmp_path: Path):
    store = write_store(tmp_path / "s.arrow", [np.array([70_000], np.uint32)], [1])
    assert store[0].tolist() == [70_000]


def test_an_empty_store_is_a_store(tmp_path: Path):
    assert len(Store.open(write_store(tmp_path / "s.arrow", [], []).path)) == 0


def test_more_documents_than_a_chunk_are_all_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, "_DOCUMENTS_A_CHUNK", 2)
    store = write_store(tmp_path / "s.arrow", iter(DOCUMENTS), iter(DIGESTS))
    assert Store.open(store.path)[3].tolist() == DOCUMENTS[3].tolist()


def test_one_flipped_bit_is_found_before_use(store: Store):
    whole = store.path.read_bytes()
    start = whole.index(b"\x05\x00\x06\x00\x07\x00")
    for place in (start, start + 4, start + 15_000):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        store.path.write_bytes(damaged)
        with pytest.raises(StorageError, match="rebuilt"):
            Store.open(store.path)


@pytest.mark.parametrize("kept", [0, 7, 400, 0.5, 0.999])
def test_a_truncated_file_names_the_remedy(store: Store, kept: float):
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(StorageError, match="remove it and run the same command"):
        Store.open(store.path)


def test_a_full_disk_leaves_the_old_store_and_nothing_else(store: Store, monkeypatch: pytest.MonkeyPatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = store.path.read_bytes()
    with monkeypatch.context() as patch, pytest.raises(StorageError, match=r"needs more than .* MB are free"):
        patch.setattr(os, "fsync", full)
        write_store(store.path, DOCUMENTS[:1], [1])
    assert store.path.read_bytes() == before
    assert list(store.path.parent.iterdir()) == [store.path]


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path):
    def documents():
        yield DOCUMENTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "s.arrow", documents(), DIGESTS)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_store_is_named(tmp_path: Path):
    with pytest.raises(MissingInputError, match=r"s\.arrow"):
        Store.open(tmp_path / "s.arrow")


def test_the_key_depends_on_every_part_and_not_on_their_order():
    key = store_key(files=["a", "b"], vocabulary="x")
    assert key == store_key(vocabulary="x", files=["a", "b"])
    assert len({key, store_key(files=["b", "a"], vocabulary="x"), store_key(files=["a", "b"])}) == 3


def test_the_cache_stands_where_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("HEADWATER_CACHE", raising=False)
    assert cache_folder() == Path("/x/headwater")
    monkeypatch.setenv("HEADWATER_CACHE", "/y")
    assert cache_folder() == Path("/y")
