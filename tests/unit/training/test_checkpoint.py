import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from headwater.errors import SettingsError, StorageError
from headwater.training.checkpoint import CheckpointFolder, module_tensors, restore_module
from headwater.training.tensor_file import digest_of, write_tensors


class Usage(NamedTuple):
    """What shutil.disk_usage gives."""

    total: int
    used: int
    free: int


def _tensors(step: int = 0) -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(step)
    return {
        "model": {
            "weight": torch.randn(5, 3, generator=generator),
            "bias": torch.randn(3, generator=generator),
        },
        "optimizer": {"weight/step": torch.tensor(float(step)), "weight/exp_avg": torch.ones(5, 3)},
        "objective": {},
    }


def _names(folder: CheckpointFolder) -> list[str]:
    return sorted(entry.name for entry in folder.path.iterdir())


def test_what_was_saved_comes_back_bit_by_bit(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints", run="r1")
    folder.save(7, _tensors(7), {"tokens": 12345, "best": 1.5, "rates": [0.1, 1e-17], "name": "中文 \udc80"})
    found = folder.newest()
    assert found is not None
    assert (found.step, found.notes) == (7, ())
    assert found.state == {"tokens": 12345, "best": 1.5, "rates": [0.1, 1e-17], "name": "中文 \udc80"}
    for part, tensors in _tensors(7).items():
        loaded = found.tensors(part)
        assert set(loaded) == set(tensors)
        assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_a_part_that_was_never_saved_is_empty(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(), {})
    found = folder.newest()
    assert found is not None
    assert found.tensors("average") == {}


def test_nothing_saved_is_none_and_not_an_error(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path / "nowhere").newest() is None


def test_state_with_numbers_as_keys_and_numbers_that_are_not_finite_verifies(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, {}, {"counts": {10: 1, 9: 2}, "best": float("inf")})
    assert folder.verify() == []


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.uint8, torch.float16],
)
def test_every_kind_of_number_is_written_as_the_library_reads_it(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {
        "scalar": torch.tensor(1).to(dtype),
        "empty": torch.zeros(0, 4, dtype=dtype),
        "turned": (torch.arange(12).reshape(3, 4) % 2).to(dtype).T,  # not contiguous
        "other": torch.arange(5, dtype=torch.float64),
    }
    written = write_tensors(tmp_path / "t.safetensors", tensors)
    loaded = safetensors.torch.load_file(tmp_path / "t.safetensors")
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert digest_of(tmp_path / "t.safetensors") == written


def test_the_file_is_the_librarys_file_byte_for_byte(tmp_path: Path) -> None:
    tensors = {"b": torch.ones(3), "a": torch.arange(4), "c": torch.ones(2, dtype=torch.bool)}
    write_tensors(tmp_path / "ours", tensors)
    safetensors.torch.save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_the_two_newest_and_the_best_stay(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    for step in range(1, 7):
        folder.save(step, _tensors(step), {}, best=step in (1, 3))
    assert _names(folder) == ["step-00000003", "step-00000005", "step-00000006"]
    best = folder.best()
    assert best is not None
    assert best.step == 3


def test_a_state_saved_again_at_the_same_step_replaces_the_first(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(4, _tensors(1), {"ended": False})
    folder.save(4, _tensors(2), {"ended": True})
    found = folder.newest()
    assert found is not None
    assert found.state == {"ended": True}
    assert _names(folder) == ["step-00000004"]


def test_a_damaged_newer_checkpoint_does_not_push_good_ones_out(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2, 9):
        folder.save(step, _tensors(step), {})
    (tmp_path / "step-00000009" / "model.safetensors").write_bytes(b"")
    folder.save(3, _tensors(3), {})
    assert _names(folder) == ["step-00000002", "step-00000003", "step-00000009"]


def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(1), {})
    folder.save(2, _tensors(2), {})
    with (tmp_path / "step-00000002" / "model.safetensors").open("ab") as file:
        file.write(b"!")
    found = folder.newest()
    assert found is not None
    assert found.step == 1
    assert "step-00000002 was passed over: model.safetensors:" in found.notes[0]
    assert [finding.checkpoint for finding in folder.verify()] == ["step-00000002"]


def test_when_nothing_verifies_starting_again_is_left_to_the_user(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(1), {})
    (tmp_path / "step-00000001" / "manifest.json").write_text("{")
    with pytest.raises(StorageError, match="remove it to start again at step 0"):
        folder.newest()


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"{}", b'{"sha256": 1}', b"\xff\xfe", b"3", b'"step"']
)
def test_a_manifest_that_is_no_manifest_is_a_finding_and_not_a_crash(tmp_path: Path, text: bytes) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(1), {})
    (tmp_path / "step-00000001" / "manifest.json").write_bytes(text)
    assert len(folder.verify()) == 1


def test_a_manifest_edited_by_hand_is_not_believed(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(1), {"tokens": 5})
    path = tmp_path / "step-00000001" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["state"]["tokens"] = 6
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    assert "damaged or edited" in folder.verify()[0].problem


def test_a_folder_renamed_to_another_step_is_not_believed(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(1), {})
    (tmp_path / "step-00000001").rename(tmp_path / "step-00000008")
    assert "written for step 1" in folder.verify()[0].problem


def test_a_missing_file_is_a_finding(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(1), {})
    (tmp_path / "step-00000001" / "optimizer.safetensors").unlink()
    assert folder.verify()[0].problem.startswith("optimizer.safetensors: No such file")


def test_too_little_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(1), {})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 100))
    with pytest.raises(StorageError, match=r"0\.0 MiB are free; it needs 4\.8 MiB"):
        folder.save(2, {"model": {"weight": torch.zeros(2**20)}}, {})
    assert _names(folder) == ["step-00000001"]


def test_what_a_crash_left_aside_goes_with_the_next_save_and_readers_leave_it(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, _tensors(1), {})
    (tmp_path / ".tmp-2-abc").mkdir()
    (tmp_path / ".tmp-2-abc" / "model.safetensors").write_bytes(b"half")
    assert folder.newest() is not None
    assert ".tmp-2-abc" in _names(folder)
    folder.save(2, _tensors(2), {})
    assert _names(folder) == ["step-00000001", "step-00000002"]


def test_a_state_caught_while_being_replaced_still_counts(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(5, _tensors(5), {"n": 1})
    (tmp_path / "step-00000005").rename(tmp_path / ".old-step-00000005")
    found = folder.newest()
    assert found is not None
    assert found.state == {"n": 1}
    folder.sweep()
    assert _names(folder) == ["step-00000005"]


def test_one_checkpoint_alone_is_never_enough() -> None:
    with pytest.raises(SettingsError, match="at least 2"):
        CheckpointFolder("somewhere", keep=1)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 3)
        self.decoder = nn.Linear(3, 4, bias=False)
        self.decoder.weight = self.embedding.weight
        self.norm = nn.BatchNorm1d(3)


def test_a_tied_matrix_is_saved_once_and_restored_under_both_names() -> None:
    torch.manual_seed(0)
    saved, other = Tied(), Tied()
    tensors = module_tensors(saved)
    assert [name for name in tensors if "weight" in name] == ["embedding.weight", "norm.weight"]
    restore_module(other, {name: tensor.clone() for name, tensor in tensors.items()})
    assert torch.equal(other.decoder.weight, saved.embedding.weight)


def test_a_checkpoint_of_another_model_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"2 tensors are missing, new or of another shape \(bias, weight"):
        restore_module(nn.Linear(3, 4), module_tensors(nn.Linear(3, 5)))
