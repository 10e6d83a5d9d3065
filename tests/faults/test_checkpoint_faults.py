"""A save that is killed, refused or damaged at any point never costs more than itself."""

import contextlib
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from headwater.errors import StorageError
from headwater.training.checkpoint import CheckpointFolder

# Children are forked, not spawned: importing torch fifty times would take minutes. They only write files.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


class Usage(NamedTuple):
    """What shutil.disk_usage gives."""

    total: int
    used: int
    free: int


CALLS = ("mkdir", "open", "write", "fsync", "rename", "unlink", "rmdir")
KILLS = 50


def _save(folder: CheckpointFolder, step: int, numbers: int = 20_000) -> None:
    model = {"weight": torch.full((numbers,), float(step))}
    optimizer = {
        "weight/exp_avg": torch.full((numbers,), float(step)),
        "weight/step": torch.tensor(float(step)),
    }
    folder.save(step, {"model": model, "optimizer": optimizer}, {"step": step})


def _check(path: Path) -> int:
    """The newest state is whole and all of one step; nothing that looks like a checkpoint is damaged."""
    folder = CheckpointFolder(path)
    found = folder.newest()
    assert found is not None
    assert found.notes == ()
    assert folder.verify() == []
    assert found.state == {"step": found.step}
    for part in ("model", "optimizer"):
        assert all(bool((tensor == found.step).all()) for tensor in found.tensors(part).values())
    return found.step


def _child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked process; its number."""
    process = os.fork()
    if process == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    return process


class Shim:
    """Stands before the calls that change a disk, and acts at the n-th of them."""

    def __init__(self, act: Callable[[int], None]) -> None:
        self.calls = 0
        self._act = act
        self._real: dict[str, Any] = {name: getattr(os, name) for name in CALLS}

    @contextlib.contextmanager
    def active(self) -> Generator[None]:
        for name in CALLS:
            setattr(os, name, self._before(name))
        try:
            yield
        finally:
            for name, real in self._real.items():
                setattr(os, name, real)

    def _before(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if name != "open" or arguments[1] & os.O_CREAT:
                self.calls += 1
                self._act(self.calls)
            return self._real[name](*arguments, **named)

        return call


@pytest.fixture
def saved(tmp_path: Path) -> CheckpointFolder:
    """A run with two saved states, so that the next save also removes one."""
    folder = CheckpointFolder(tmp_path / "checkpoints")
    _save(folder, 1)
    _save(folder, 2)
    return folder


def _calls_of_a_save(folder: CheckpointFolder) -> int:
    """How many calls a save makes, counted on a copy."""
    copy = folder.path.with_name("counted")
    shutil.copytree(folder.path, copy)
    shim = Shim(lambda _: None)
    with shim.active():
        _save(CheckpointFolder(copy), 3)
    shutil.rmtree(copy)
    return shim.calls


def test_killed_at_random_moments_a_run_never_loses_a_state_it_was_told_is_saved(
    saved: CheckpointFolder,
) -> None:
    chance = random.Random(7)
    for _ in range(KILLS):
        start = _check(saved.path) + 1
        reader, writer = os.pipe()

        def save_on(start: int = start, writer: int = writer) -> None:
            folder = CheckpointFolder(saved.path)
            for step in range(start, start + 1000):
                _save(folder, step)
                os.write(writer, step.to_bytes(8, "little"))

        child = _child(save_on)
        os.close(writer)
        time.sleep(chance.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as told:
            promised = [int.from_bytes(piece, "little") for piece in iter(lambda: told.read(8), b"")]
        assert _check(saved.path) >= max(promised, default=start - 1)
    assert _check(saved.path) > 2, "no child lived long enough to save: the test has tested nothing"


def test_killed_before_any_single_call_the_run_goes_on_and_leaves_no_rubbish(saved: CheckpointFolder) -> None:
    count = _calls_of_a_save(saved)
    assert count > 15
    for moment in range(1, count + 1):
        path = saved.path.with_name(f"killed-{moment}")
        shutil.copytree(saved.path, path)

        def die(call: int, moment: int = moment) -> None:
            if call == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        def save(path: Path = path) -> None:
            with Shim(die).active():
                _save(CheckpointFolder(path), 3)

        _, status = os.waitpid(_child(save), 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert _check(path) in (2, 3)
        _save(CheckpointFolder(path), 4)
        assert _check(path) == 4
        assert all(entry.name.startswith("step-") for entry in path.iterdir())


def test_killed_while_replacing_a_state_one_of_the_two_is_there(saved: CheckpointFolder) -> None:
    count = _calls_of_a_save(saved)
    for moment in range(1, count + 1):
        path = saved.path.with_name(f"replaced-{moment}")
        shutil.copytree(saved.path, path)

        def die(call: int, moment: int = moment) -> None:
            if call == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        def save(path: Path = path) -> None:
            with Shim(die).active():
                _save(CheckpointFolder(path), 2)

        os.waitpid(_child(save), 0)
        assert _check(path) == 2


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT], ids=errno.errorcode.get
)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from-then-on"])
def test_a_disk_that_refuses_any_single_call_costs_only_this_save(
    saved: CheckpointFolder, number: int, lasting: bool
) -> None:
    refused = 0
    for moment in range(1, _calls_of_a_save(saved) + 1):
        path = saved.path.with_name(f"refused-{moment}")
        shutil.copytree(saved.path, path)

        def refuse(call: int, moment: int = moment) -> None:
            if call == moment or (lasting and call > moment):
                raise OSError(number, os.strerror(number))

        with Shim(refuse).active():
            try:
                _save(CheckpointFolder(path), 3)
            except StorageError as error:
                refused += 1
                assert error.exit_code == 74
                assert "MiB" in str(error)
        assert _check(path) in (2, 3)
        if not lasting:
            assert not [entry for entry in path.glob(".tmp-3-*") if (entry / "manifest.json").exists()]
        _save(CheckpointFolder(path), 4)
        assert _check(path) == 4
        assert all(entry.name.startswith("step-") for entry in path.iterdir())
    assert refused > 10


def test_every_flipped_bit_is_found_in_every_kind_of_file(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    _save(folder, 3, numbers=20)
    for name in ("manifest.json", "model.safetensors", "optimizer.safetensors"):
        path = tmp_path / "step-00000003" / name
        whole = path.read_bytes()
        for position in range(len(whole)):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << (position % 8)
            path.write_bytes(flipped)
            assert folder.verify(), f"bit {position % 8} of byte {position} of {name}"
        path.write_bytes(whole)
    assert folder.verify() == []


def test_a_flipped_bit_sends_the_run_to_the_state_before(saved: CheckpointFolder) -> None:
    chance = random.Random(1)
    for path in sorted((saved.path / "step-00000002").iterdir()):
        whole = path.read_bytes()
        for _ in range(5):
            flipped = bytearray(whole)
            flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            found = saved.newest()
            assert found is not None
            assert found.step == 1
            assert path.name in found.notes[0]
        path.write_bytes(whole)


def test_a_file_cut_anywhere_is_found(saved: CheckpointFolder) -> None:
    chance = random.Random(2)
    for path in sorted((saved.path / "step-00000002").iterdir()):
        whole = path.read_bytes()
        for length in (0, 1, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(5))):
            path.write_bytes(whole[:length])
            assert path.name in saved.verify()[0].problem
        path.write_bytes(whole)


def test_a_limit_that_the_kernel_sets_stops_the_save_and_not_the_run(saved: CheckpointFolder) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))  # the second part of the save does not fit
    try:
        with pytest.raises(StorageError, match="checkpoints from before are intact"):
            _save(saved, 3, numbers=200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _check(saved.path) == 2
    assert sorted(entry.name for entry in saved.path.iterdir()) == ["step-00000001", "step-00000002"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A real file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a tmpfs; the simulated full disk above is tested")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full_is_said_with_need_and_room(small_disk: Path) -> None:
    folder = CheckpointFolder(small_disk)
    _save(folder, 1)
    with pytest.raises(StorageError, match=r"0\.8 MiB are free; it needs 1\.8 MiB"):
        _save(folder, 2, numbers=200_000)
    assert _check(small_disk) == 1


def test_a_disk_that_fills_up_during_the_save_leaves_the_old_state(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(small_disk)
    _save(folder, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**30, 0, 2**30))  # somebody else is filling it
    with pytest.raises(StorageError, match="the disk is full; it needs"):
        _save(folder, 2, numbers=200_000)
    assert _check(small_disk) == 1
    assert [entry.name for entry in small_disk.iterdir()] == ["step-00000001"]
