"""Saved states of a run: all or nothing, checked by digest, never a pickle.

    checkpoints/.tmp-1200-1f0c…/    written aside: one safetensors file a part, each fsynced
                manifest.json       names, bytes, sha256, step, run, world size, code version, small state
    checkpoints/step-00001200/      the same folder, renamed once everything above is on the disk

A crash at any instant leaves the last complete checkpoint untouched and at most one folder aside, which is
swept away when the run goes on. There is no link to the latest: the newest folder whose digests verify *is* the
latest.
"""

import errno
import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from headwater.errors import SettingsError, StorageError
from headwater.training.tensor_file import (
    Written,
    digest_of,
    read_tensors,
    size_of,
    sync_folder,
    write_durably,
    write_tensors,
)
from headwater.version import VERSION

MANIFEST = "manifest.json"
_FORMAT = 1
_STEP = re.compile(r"step-(\d{8,})$")
_PART = re.compile(r"[a-z][a-z0-9_]*$")
_ASIDE = ".tmp-"
_REPLACED = ".old-"
_MARGIN = 1.2
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Finding(NamedTuple):
    """Something wrong with a checkpoint."""

    checkpoint: str
    problem: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state whose digests were just verified; ``notes`` say which newer ones were passed over, and why."""

    path: Path
    step: int
    best: bool
    state: dict[str, Any]
    parts: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors saved under this name; empty if there were none."""
        return read_tensors(self.path / f"{part}.safetensors") if part in self.parts else {}


class CheckpointFolder:
    """The checkpoints of one run. One process writes; any number may read at the same time.

    ``keep`` newest ones stay (at least 2, so that a damaged one has a predecessor), and the best.
    """

    def __init__(self, path: str | Path, *, keep: int = 2, run: str = "", world_size: int = 1) -> None:
        if keep < 2:
            raise SettingsError(f"keep={keep} checkpoints; expected at least 2, so that one may be damaged")
        self.path = Path(path)
        self._keep = keep
        self._facts = {"run": run, "world_size": world_size, "code_version": VERSION}

    def save(
        self,
        step: int,
        tensors: Mapping[str, Mapping[str, Tensor]],
        state: Mapping[str, Any],
        *,
        best: bool = False,
    ) -> Path:
        """Save the state after ``step`` steps: parts ("model", "optimizer" …) of flat tensors, JSON values.

        Returns the new folder once it is durable and verified; only then older ones go. Raises StorageError
        if the disk has less than 1.2 times the room needed (nothing is written then) or refuses in between
        (what was written aside is removed); the checkpoints from before are intact either way.
        """
        assert all(_PART.match(part) for part in tensors), f"part names are file names: {sorted(tensors)}"
        needed = sum(size_of(part) for part in tensors.values())
        aside = self.path / f"{_ASIDE}{step}-{uuid.uuid4().hex}"
        with self._plain_words(needed):
            self.path.mkdir(parents=True, exist_ok=True)
            self.sweep()
            self._check_room(needed)
            try:
                self._write(aside, step, tensors, {"best": best, "state": dict(state)})
                folder = self._commit(aside, step)
            finally:
                # Gone already, unless something failed; what cannot be removed now is swept by the next save.
                shutil.rmtree(aside, ignore_errors=True)
            self._rotate(folder)
        return folder

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies, with notes on those that do not; None if nothing was saved.

        Raises StorageError if there are checkpoints and not one verifies: starting again at step 0 is a
        decision.
        """
        notes: list[str] = []
        for folder in self._newest_first():
            manifest, problems = _examined(folder)
            if manifest is not None and not problems:
                return _checkpoint(folder, manifest, tuple(notes))
            notes.append(f"{folder.name} was passed over: {'; '.join(problems)}")
        if notes:
            raise StorageError(
                f"no checkpoint in {self.path} can be used ({'. '.join(notes)}); expected at least one whose "
                "digests verify. Restore the folder from a backup, or remove it to start again at step 0"
            )
        return None

    def best(self) -> Checkpoint | None:
        """The newest checkpoint saved as the best so far, if it verifies."""
        for folder in self._newest_first():
            manifest, problems = _examined(folder)
            if manifest is not None and not problems and manifest["best"]:
                return _checkpoint(folder, manifest, ())
        return None

    def verify(self) -> list[Finding]:
        """Everything wrong with any checkpoint; reads every byte and changes none."""
        return [
            Finding(folder.name, problem)
            for folder in self._newest_first()
            for problem in _examined(folder)[1]
        ]

    def sweep(self) -> list[str]:
        """Remove what a crash left aside, and give back what it left between two names; the names removed.

        Called by ``save``, and when a run goes on. Readers never sweep: the folder aside may be one that another
        process is writing.
        """
        removed: list[str] = []
        for entry in sorted(self.path.iterdir()) if self.path.is_dir() else []:
            if entry.name.startswith(_REPLACED) and not (home := _home(entry)).exists():
                entry.rename(home)
            elif entry.name.startswith((_ASIDE, _REPLACED)):
                shutil.rmtree(entry)
                removed.append(entry.name)
        return removed

    def _write(
        self, aside: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], extra: Mapping[str, Any]
    ) -> None:
        aside.mkdir()
        files: dict[str, Written] = {}
        for part, named in tensors.items():
            name = f"{part}.safetensors"
            files[name] = write_tensors(aside / name, named)
        listed = {name: written._asdict() for name, written in files.items()}
        body = {"format": _FORMAT, "step": step, **self._facts, **extra, "files": listed}
        write_durably(aside / MANIFEST, iter([_manifest_text(body)]))
        sync_folder(aside)

    def _commit(self, aside: Path, step: int) -> Path:
        """Give the finished folder its name. A state saved twice at one step is replaced, never missing."""
        folder = self.path / f"step-{step:08d}"
        replaced = self.path / f"{_REPLACED}{folder.name}"
        if folder.exists():
            folder.rename(replaced)
        aside.rename(folder)
        sync_folder(self.path)
        shutil.rmtree(replaced, ignore_errors=True)
        return folder

    def _rotate(self, new: Path) -> None:
        """Let older checkpoints go, once the new one reads back as it was written."""
        _, problems = _examined(new)
        if problems:
            raise StorageError(
                f"{new} does not read back as it was written ({'; '.join(problems)}); expected a disk "
                "that keeps what it is given. Check the disk; the checkpoints from before are intact"
            )
        # A newer one was passed over when the run resumed: it must not push good ones out.
        steps = [f for f in self._newest_first() if _STEP.match(f.name) and _step_of(f) <= _step_of(new)]
        best = next((folder for folder in steps if _is_best(folder)), None)
        for folder in steps[self._keep :]:
            if folder not in (best, new):
                # Renamed first: a folder half removed must not look like a damaged checkpoint.
                doomed = folder.rename(self.path / f"{_ASIDE}{folder.name}-{uuid.uuid4().hex}")
                shutil.rmtree(doomed)

    def _newest_first(self) -> list[Path]:
        """Folders of saved states, those included that a crash left while they were being replaced."""
        if not self.path.is_dir():
            return []
        found = [entry for entry in self.path.iterdir() if _STEP.search(entry.name) and entry.is_dir()]
        whole = [entry for entry in found if _STEP.match(entry.name)]
        lost = [e for e in found if e.name.startswith(_REPLACED) and _home(e) not in whole]
        return sorted([*whole, *lost], key=_step_of, reverse=True)

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.path).free
        if free < _MARGIN * needed:
            raise _disk_error(self.path, f"{_size(free)} are free", needed)

    @contextmanager
    def _plain_words(self, needed: int) -> Generator[None]:
        try:
            yield
        except OSError as problem:
            what = (
                "the disk is full"
                if problem.errno in _FULL
                else f"the disk says: {problem.strerror or problem}"
            )
            raise _disk_error(self.path, what, needed) from problem


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module, a tensor with two names (tied layers) once, under the first."""
    tensors: dict[str, Tensor] = {}
    seen: set[tuple[int, tuple[int, ...], tuple[int, ...]]] = set()
    for name, tensor in module.state_dict().items():
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
        if tensor.numel() == 0 or place not in seen:
            tensors[name] = tensor
        seen.add(place)
    return tensors


def restore_module(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a module the state that ``module_tensors`` took; raises SettingsError where the two differ."""
    own = module_tensors(module)
    different = {name for name in {*own, *tensors} if name not in own or name not in tensors}
    different |= {name for name in own if name not in different and own[name].shape != tensors[name].shape}
    if different:
        some = ", ".join(sorted(different)[:3])
        raise SettingsError(
            f"the checkpoint does not fit the model: {len(different)} tensors are missing, new or of another "
            f"shape ({some} …); resume with the settings that the run was started with"
        )
    module.load_state_dict(
        dict(tensors), strict=False
    )  # strict would ask for the second names of tied tensors


def _manifest_text(body: Mapping[str, Any]) -> bytes:
    """The manifest with its own digest; the same content always gives the same bytes."""
    sealed = {**body, "sha256": hashlib.sha256(_json(body)).hexdigest()}
    return _json(sealed) + b"\n"


def _json(value: Mapping[str, Any]) -> bytes:
    # Twice, because numbers as keys become text: only then are the keys sorted as they are read back.
    return json.dumps(json.loads(json.dumps(value)), indent=1, sort_keys=True).encode()


def _examined(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The manifest of a checkpoint, if it can be trusted, and everything that does not verify."""
    try:
        manifest = _read_manifest(folder)
    except (OSError, ValueError) as problem:  # ValueError covers broken JSON and broken UTF-8
        return None, [f"{MANIFEST}: {problem}"]
    return manifest, [
        problem
        for name, promised in manifest["files"].items()
        if (problem := _difference(folder / name, promised))
    ]


def _read_manifest(folder: Path) -> dict[str, Any]:
    text = (folder / MANIFEST).read_bytes()
    body: Any = json.loads(text)
    if not isinstance(body, dict) or body.pop("sha256", None) is None or _manifest_text(body) != text:
        raise ValueError("its own digest does not match, so it was damaged or edited")
    if body["format"] != _FORMAT:
        raise ValueError(f"format {body['format']}, while this version of Headwater reads {_FORMAT}")
    if body["step"] != _step_of(folder):
        raise ValueError(f"it was written for step {body['step']}; the folder was renamed or copied")
    return body


def _difference(path: Path, promised: Mapping[str, Any]) -> str | None:
    try:
        found = digest_of(path)
    except OSError as problem:
        return f"{path.name}: {problem.strerror or problem}"
    if found.bytes != promised["bytes"]:
        return f"{path.name}: {found.bytes} bytes, {promised['bytes']} were written"
    if found.sha256 != promised["sha256"]:
        return f"{path.name}: the content changed since it was written"
    return None


def _checkpoint(folder: Path, manifest: Mapping[str, Any], notes: tuple[str, ...]) -> Checkpoint:
    parts = tuple(name.removesuffix(".safetensors") for name in manifest["files"])
    return Checkpoint(folder, manifest["step"], manifest["best"], manifest["state"], parts, notes)


def _is_best(folder: Path) -> bool:
    try:
        return bool(_read_manifest(folder)["best"])
    except (OSError, ValueError):
        return False  # damaged: verify() reports it


def _home(replaced: Path) -> Path:
    return replaced.with_name(replaced.name.removeprefix(_REPLACED))


def _step_of(folder: Path) -> int:
    found = _STEP.search(folder.name)
    assert found is not None, folder
    return int(found.group(1))


def _disk_error(path: Path, what: str, needed: int) -> StorageError:
    return StorageError(
        f"the checkpoint could not be saved in {path}: {what}; it needs {_size(round(_MARGIN * needed))}. "
        "Free some space or check the disk, then resume; the checkpoints from before are intact"
    )


def _size(number: int) -> str:
    return f"{number / 2**20:,.1f} MiB"
