"""model.safetensors, read with suspicion: the header is checked before a single weight is believed.

The library itself lets pass a name given twice (the last wins), tensors without a number and a hundred thousand
of them. Nothing here ever opens a pickle.
"""

import json
import os
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_file, save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from headwater.errors import BadDataError, MissingInputError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
MOST_TENSORS = 20_000
LARGEST_HEADER = 100_000_000
LONGEST_NAME = 512
VALUE_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors in name order, each once, and wait until they are on the disk."""
    ordered = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    save_file(ordered, path, metadata={"format": "pt"})
    with path.open("rb") as written:
        os.fsync(written.fileno())


def read_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a model folder, by the headers alone."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        for name, shape in checked_header(path).items():
            if name in shapes:
                raise BadDataError(f"{path} holds {name}, which another file of the folder holds too")
            shapes[name] = shape
    return shapes


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model folder whose headers ``read_shapes`` has found sound."""
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        checked_header(path)
        tensors.update(load_file(path))
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The one weight file of a folder, or the shards that its index names."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        pickles = [path.name for path in folder.glob("*.bin")] + [path.name for path in folder.glob("*.pt")]
        remedy = (
            f"; {pickles[0]} is a pickle, which can run code and is never opened: convert it to safetensors"
            if pickles
            else ""
        )
        raise MissingInputError(
            f"{folder} has no {WEIGHTS}{remedy or '; copy the whole folder, or make it again'}"
        )
    index = read_json(folder / INDEX)
    names = index.get("weight_map")
    if not isinstance(names, dict) or not names:
        raise BadDataError(f"{folder / INDEX} has no weight_map from tensors to files")
    shards = sorted({str(name) for name in cast(dict[str, object], names).values()})
    if strange := [name for name in shards if Path(name).name != name]:
        raise BadDataError(f"{folder / INDEX} names {strange[0]!r}; a shard must lie in the folder itself")
    if missing := [name for name in shards if not (folder / name).is_file()]:
        raise MissingInputError(f"{folder} lacks {', '.join(missing)}, named by {INDEX}; copy all the files")
    return [folder / name for name in shards]


def checked_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name, when every byte of the file belongs to exactly one well-described tensor."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if length > min(size - 8, LARGEST_HEADER):
            raise _damaged(path, f"its header claims {length} bytes of a file of {size}")
        header = _parsed(path, file.read(length))
    header.pop("__metadata__", None)
    if len(header) > MOST_TENSORS:
        raise _damaged(path, f"it holds {len(header)} tensors; {MOST_TENSORS} are the most that are believed")
    places = sorted((_place(path, name, entry), name) for name, entry in header.items())
    end = 0
    for (start, stop), name in places:
        if start != end:
            raise _damaged(path, f"the bytes of {name} begin at {start}, where {end} was expected")
        end = stop
    if end != size - 8 - length:
        raise _damaged(path, f"its tensors end at byte {end} of {size - 8 - length}")
    return {name: tuple(entry["shape"]) for name, entry in header.items()}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder; a name given twice is an error."""
    if not path.is_file():
        raise MissingInputError(f"there is no {path.name} in {path.parent}; name a folder that holds a model")
    return _parsed(path, path.read_bytes())


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as problem:
        raise _damaged(path, f"its JSON cannot be read: {problem}") from problem
    if not isinstance(value, dict):
        raise _damaged(path, "its JSON is not an object")
    return cast(dict[str, Any], value)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return result


def _place(path: Path, name: str, entry: object) -> tuple[int, int]:
    if len(name) > LONGEST_NAME or not name.isprintable() or "/" in name or "\\" in name:
        raise _damaged(path, f"{name[:80]!r} is no name for a tensor")
    described = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
    shape, offsets, kind = (described.get(key) for key in ("shape", "data_offsets", "dtype"))
    numbers, places = _counts(shape, at_least=1), _counts(offsets, at_least=0)
    if kind not in VALUE_BYTES or numbers is None or places is None or len(places) != 2:
        raise _damaged(path, f"{name} is described by {str(cast(object, entry))[:200]}")
    if places[1] - places[0] != prod(numbers) * VALUE_BYTES[kind]:
        raise _damaged(path, f"{name} of shape {shape} and kind {kind} does not fill the bytes {offsets}")
    return places[0], places[1]


def _counts(values: object, *, at_least: int) -> list[int] | None:
    if not isinstance(values, list):
        return None
    given = cast(list[object], values)
    counts = [value for value in given if type(value) is int and value >= at_least]
    return counts if len(counts) == len(given) else None


def _damaged(path: Path, what: str) -> BadDataError:
    return BadDataError(f"{path} is damaged or was made to mislead: {what}; fetch or make it again")
