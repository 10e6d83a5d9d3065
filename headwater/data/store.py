"""Prepared sequences on disk: one Arrow file, memory-mapped, read without copying.

The file is an ordinary Arrow IPC file of one record batch with the columns ``tokens`` (a list of token numbers
a document) and ``digest`` (of the document's text). Its checksum stands in the schema's metadata.
"""

import errno
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
import pyarrow  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from headwater.data.piece_cache import Tokens
from headwater.errors import MissingInputError, StorageError

pa: Any = pyarrow  # it ships no types

FORMAT = b"headwater.store.1"
_DOCUMENTS_A_CHUNK = 4096


class Store:
    """The documents of one corpus as token numbers, in the order in which they were written."""

    def __init__(
        self, path: Path, tokens: Tokens, offsets: NDArray[np.int64], digests: NDArray[np.uint64]
    ) -> None:
        self.path = path
        self.tokens = tokens  # all documents one after another; a view of the file
        self.offsets = offsets  # (documents + 1,)
        self.digests = digests  # (documents,)

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> "Store":
        """Map a store into memory; ``verify`` reads it once (about 1 GB/s) and compares its checksum."""
        path = Path(path)
        if not path.is_file():
            raise MissingInputError(f"there is no store {path}; it is built from the raw files")
        try:
            batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
            facts: dict[bytes, bytes] = batch.schema.metadata or {}
            lists = batch.column("tokens")
            store = cls(
                path,
                lists.values.to_numpy(zero_copy_only=True),
                lists.offsets.to_numpy(zero_copy_only=True),
                batch.column("digest").to_numpy(zero_copy_only=True),
            )
            intact = facts[b"format"] == FORMAT
            intact = intact and (not verify or facts[b"checksum"] == _checksum_of(store))
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise _damaged(path, f"cannot be read ({error})") from error
        if not intact:
            raise _damaged(path, "is not what was written: its checksum differs")
        return store

    def __len__(self) -> int:
        return len(self.digests)

    def __getitem__(self, document: int) -> Tokens:
        return self.tokens[self.offsets[document] : self.offsets[document + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many tokens each document has."""
        return np.diff(self.offsets)


def write_store(path: str | Path, token_arrays: Iterable[Tokens], digests: Iterable[int]) -> Store:
    """Write documents as they come, in bounded memory, and open the result.

    The tokens stream into a file aside; the finished store is fsynced and renamed, so a store either is there
    and whole or is not there.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    raw = aside.with_suffix(".tokens")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with raw.open("wb") as file:
            dtype, lengths, checksum = _stream(file, token_arrays)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        keys = np.fromiter(digests, np.uint64)
        if len(keys) != len(lengths):
            raise ValueError(f"{len(lengths)} documents but {len(keys)} digests")
        _write_arrow(aside, raw, dtype, offsets, keys, checksum)
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _failed(path, raw, error) from error
    finally:
        raw.unlink(missing_ok=True)
        aside.unlink(missing_ok=True)
    return Store.open(path, verify=False)


def _stream(file: BinaryIO, token_arrays: Iterable[Tokens]) -> tuple[np.dtype[Any], list[int], int]:
    """Write the tokens of all documents; their type, the lengths of the documents, the checksum of the tokens."""
    lengths: list[int] = []
    dtype: np.dtype[Any] = np.dtype(np.uint16)
    checksum = 0
    arrays = iter(token_arrays)
    while chunk := list(islice(arrays, _DOCUMENTS_A_CHUNK)):
        dtype = dtype if lengths else chunk[0].dtype
        assert all(tokens.dtype == dtype for tokens in chunk), "all documents are of one vocabulary"
        lengths += map(len, chunk)
        data = np.concatenate(chunk).tobytes()
        checksum = zlib.crc32(data, checksum)
        file.write(data)
    file.flush()
    return dtype, lengths, checksum


def _write_arrow(
    path: Path,
    raw: Path,
    dtype: np.dtype[Any],
    offsets: NDArray[np.int64],
    digests: NDArray[np.uint64],
    checksum: int,
) -> None:
    # The body is the mapped file itself, so a corpus larger than memory passes through.
    tokens = np.memmap(raw, dtype, "r") if offsets[-1] else np.zeros(0, dtype)
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(tokens))
    facts = {"format": FORMAT, "checksum": _sealed(checksum, offsets, digests)}
    names = ["tokens", "digest"]
    batch = pa.RecordBatch.from_arrays([lists, pa.array(digests)], names).replace_schema_metadata(facts)
    with path.open("wb") as file:
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write(batch)
        file.flush()
        os.fsync(file.fileno())


def _sealed(tokens_checksum: int, offsets: NDArray[np.int64], digests: NDArray[np.uint64]) -> bytes:
    checksum = zlib.crc32(digests.tobytes(), zlib.crc32(offsets.tobytes(), tokens_checksum))
    return f"{checksum:08x}".encode()


def _checksum_of(store: Store) -> bytes:
    return _sealed(zlib.crc32(np.ascontiguousarray(store.tokens).data), store.offsets, store.digests)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _damaged(path: Path, how: str) -> StorageError:
    return StorageError(f"the store {path} {how}; remove it and run the same command: it is rebuilt")


def _failed(path: Path, raw: Path, error: OSError) -> StorageError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"the store {path} cannot be written: {error}; nothing was left behind")
    needed = 2 * raw.stat().st_size if raw.exists() else 0
    free = shutil.disk_usage(path.parent).free
    return StorageError(
        f"no room for the store {path}: it needs more than {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are "
        "free; make room, or name another folder with HEADWATER_CACHE"
    )


def store_key(**parts: object) -> str:
    """A digest of everything that a store's content depends on; the parts are plain JSON values."""
    canonical = json.dumps({"format": FORMAT.decode(), **parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def cache_folder() -> Path:
    """Where prepared stores live: ``$HEADWATER_CACHE``, else ``headwater`` in the user's cache folder."""
    if chosen := os.environ.get("HEADWATER_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headwater"
