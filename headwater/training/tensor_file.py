"""One safetensors file, written straight to disk with its digest, and made durable.

The format is eight bytes of header length, a JSON header and the tensors' bytes one after another
(https://github.com/huggingface/safetensors, format section). Why not ``safetensors.torch.save_file``: it
does not hash while writing, and ``save`` holds everything in memory once more. Reading is the library's.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from torch import Tensor

_NAMES: dict[torch.dtype, str] = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_CHUNK = 4 * 2**20


class Written(NamedTuple):
    """What a manifest says of a file."""

    bytes: int
    sha256: str


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> Written:
    """Write the tensors to a new file and return when the disk holds it."""
    return write_durably(path, _pieces(tensors))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file whose digest was checked."""
    return safetensors.torch.load_file(path)


def write_durably(path: Path, pieces: Iterator[bytes | memoryview]) -> Written:
    """Write a new file, hash it on the way, fsync it; raises OSError as the disk does."""
    digest = hashlib.sha256()
    size = 0
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        for piece in pieces:
            view = memoryview(piece)
            digest.update(view)
            size += len(view)
            while view:  # a disk that fills up first writes less than asked, and only then says why
                view = view[os.write(file, view) :]
        os.fsync(file)
    finally:
        os.close(file)
    return Written(size, digest.hexdigest())


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: without it a renamed file can vanish with the power."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def digest_of(path: Path) -> Written:
    """Size and SHA-256 of a file as it is now."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Written(size, digest.hexdigest())


def size_of(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of the tensors, with a little for their names."""
    return sum(tensor.numel() * tensor.element_size() + 128 for tensor in tensors.values())


def _pieces(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    # Wide numbers first keeps each tensor aligned to its own size, as the library does.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name in order:
        tensor = tensors[name]
        end = start + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _name(tensor), "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in order:
        yield from _chunks(tensors[name])


def _chunks(tensor: Tensor) -> Iterator[memoryview]:
    if tensor.numel():
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        data = flat.numpy().data
        for start in range(0, len(data), _CHUNK):
            yield data[start : start + _CHUNK]


def _name(tensor: Tensor) -> str:
    assert tensor.dtype in _NAMES, f"a checkpoint holds no tensors of type {tensor.dtype}"
    return _NAMES[tensor.dtype]
