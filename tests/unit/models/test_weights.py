import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from headwater.errors import BadDataError, MissingInputError
from headwater.models.weights import checked_header, read_json, read_shapes, read_weights, write_weights


def entry(start: int = 0, stop: int = 8, shape: tuple[int, ...] = (2,), kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": list(shape), "data_offsets": [start, stop]}


def file_of(folder: Path, header: str | dict[str, Any], data: bytes = bytes(8)) -> Path:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    tensors = {"b": torch.randn(3, 2), "a": torch.arange(4)}
    write_weights(tmp_path / "model.safetensors", tensors)
    assert read_shapes(tmp_path) == {"a": (4,), "b": (3, 2)}
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in read_weights(tmp_path).items())


def test_a_plain_header_is_believed(tmp_path: Path) -> None:
    assert checked_header(file_of(tmp_path, {"a": entry()})) == {"a": (2,)}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ('{"a": %s, "a": %s}' % ((json.dumps(entry()),) * 2), "'a' is given twice"),
        ({"../a": entry()}, "no name for a tensor"),
        ({"a\n": entry()}, "no name for a tensor"),
        ({"a": entry(shape=(0,), stop=0)}, "is described by"),
        ({"a": entry(shape=(3,))}, "does not fill the bytes"),
        ({"a": entry(kind="PICKLE")}, "is described by"),
        ({"a": entry(), "b": entry()}, "begin at 0, where 8 was expected"),
        ({"a": entry(stop=4, shape=(1,))}, "end at byte 4 of 8"),
        ({"a": entry(start=8, stop=16)}, "begin at 8, where 0 was expected"),
        ({"a": [1, 2]}, "is described by"),
        ({"a": entry(shape=(-2,))}, "is described by"),
        ({"a": entry() | {"shape": [True, 2]}}, "is described by"),
        ("[]", "not an object"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_header_that_misleads_is_refused(tmp_path: Path, header: str | dict[str, Any], reason: str) -> None:
    with pytest.raises(BadDataError, match=reason):
        checked_header(file_of(tmp_path, header))


def test_more_tensors_than_any_model_has_are_refused(tmp_path: Path) -> None:
    header = {f"t{number}": entry(number * 4, number * 4 + 4, (1,)) for number in range(20_001)}
    with pytest.raises(BadDataError, match="20001 tensors"):
        checked_header(file_of(tmp_path, header, bytes(4 * 20_001)))


@pytest.mark.parametrize("content", [b"", b"short", struct.pack("<Q", 1 << 60) + b"{}"])
def test_a_file_cut_short_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadDataError, match="header claims"):
        checked_header(path)


def test_shards_are_read_together(tmp_path: Path) -> None:
    parts = {"one.safetensors": {"a": torch.ones(2)}, "two.safetensors": {"b": torch.zeros(3)}}
    for name, tensors in parts.items():
        save_file(tensors, tmp_path / name)
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_shapes(tmp_path) == {"a": (2,), "b": (3,)}
    (tmp_path / "two.safetensors").unlink()
    with pytest.raises(MissingInputError, match=r"lacks two\.safetensors"):
        read_shapes(tmp_path)


def test_a_shard_outside_the_folder_is_refused(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "../elsewhere.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadDataError, match="must lie in the folder itself"):
        read_shapes(tmp_path)


def test_a_pickle_is_named_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(MissingInputError, match="is a pickle, which can run code"):
        read_shapes(tmp_path)


def test_a_config_that_says_a_thing_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"width": 1, "width": 2}')
    with pytest.raises(BadDataError, match="'width' is given twice"):
        read_json(tmp_path / "config.json")
