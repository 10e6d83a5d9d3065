"""Full disks, folders that may not be written, small memories, signals and closed pipes."""

import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.cli.app import main
from headwater.run.driving import Drive
from headwater.training import checkpoint

QUICK = ("--size", "nano", "--set", "machine.threads=1", "--set", "training.length=32", "--steps")
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def outside(
    record_property: Callable[[str, object], None],
    title: str,
    command: str,
    folder: Path,
    limit: tuple[int, int] | None = None,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command line as a process of its own, whom permissions stop, under a limit; ``told`` keeps such rows."""

    def lower() -> None:
        if os.geteuid() == 0:  # root is stopped by permissions once it may no longer pass them over
            for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
                ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        if limit is not None:
            resource.setrlimit(limit[0], (limit[1], limit[1]))

    words = [sys.executable, "-c", "from headwater.cli.app import main; main()", *command.split()]
    ended = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        preexec_fn=lower,
        check=False,
        timeout=280,
    )
    errors = [line for line in ended.stderr.splitlines() if line.startswith("headwater:")]
    first = next(iter([*errors, *ended.stderr.splitlines(), *ended.stdout.splitlines()]), "")
    record_property("hostile", (title, f"headwater {command}", ended.returncode, first))
    return ended


def test_out_below_a_file_is_refused(told: Callable[..., Any], workplace: Path) -> None:
    notes = workplace / "notes.jsonl"
    seen = told("--out that cannot be made", "pretrain", notes, "--out", notes / "run")
    assert seen.code == 74
    assert "Not a directory; free some space, or name a folder that can be written with --out" in seen.err
    assert told("--out that is a file", "pretrain", notes, "--out", notes).code == 2


def test_a_cache_that_cannot_be_written_is_named(
    told: Callable[..., Any], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(workplace / "notes.jsonl"))
    notes = workplace / "notes.jsonl"
    seen = told("HEADWATER_CACHE that cannot be written", "pretrain", notes, "--out", tmp_path / "run")
    assert seen.code == 74
    assert "name another folder with HEADWATER_CACHE" in seen.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "locked", "command", "code", "words"),
    [
        (
            "a read-only folder for a run",
            "there",
            "pretrain notes.jsonl --out there/run --steps 1",
            74,
            "--out",
        ),
        ("a read-only cache", "cache", "pretrain notes.jsonl --out run --steps 1", 74, "HEADWATER_CACHE"),
        (
            "a read-only folder for vectors",
            "there",
            "embed finetuned test.csv --out there/v.npy",
            74,
            "--out",
        ),
        ("a read-only run, evaluated", "finetuned", "evaluate finetuned test.csv", 0, ""),
    ],
)
def test_what_may_not_be_written_is_said(
    title: str,
    locked: str,
    command: str,
    code: int,
    words: str,
    finetuned: "hw.Run",
    record_property: Callable[[str, object], None],
    workplace: Path,
    tmp_path: Path,
) -> None:
    for name in ("notes.jsonl", "test.csv"):
        shutil.copy(workplace / name, tmp_path)
    shutil.copytree(finetuned.path, tmp_path / "finetuned")
    for name in ("there", "cache"):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.rglob("*"))
    below = [tmp_path / locked, *(tmp_path / locked).rglob("*")]
    for path in below:
        path.chmod(0o555)
    cache = {"HEADWATER_CACHE": "cache"} if locked == "cache" else {}
    try:
        ended = outside(record_property, title, command, tmp_path, environment=cache)
    finally:
        for path in below:
            path.chmod(0o755)
    assert ended.returncode == code, ended.stderr
    assert words in ended.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_fills_up_leaves_the_earlier_checkpoint(
    told: Callable[..., Any], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = checkpoint.write_tensors
    saves: list[Path] = []

    def filling(path: Path, *arguments: Any) -> Any:
        saves.append(path)
        if len(saves) > 7:  # three files a checkpoint: the third one is under way
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return written(path, *arguments)

    monkeypatch.setattr(checkpoint, "write_tensors", filling)
    run = tmp_path / "run"
    options = (*QUICK, "4", "--set", "training.checkpoint_steps=1")
    seen = told(
        "a disk that fills up while saving", "pretrain", workplace / "notes.jsonl", "--out", run, *options
    )
    assert seen.code == 74
    assert "the disk is full" in seen.err
    assert (
        "Free some space or check the disk, then resume; the checkpoints from before are intact" in seen.err
    )
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000001", "step-00000002"]
    monkeypatch.undo()
    assert hw.resume(run, quiet=True).summary.step == 4


def signalling(monkeypatch: pytest.MonkeyPatch, *numbers: signal.Signals) -> None:
    """Send these signals to this very process after the second step."""
    log = Drive._log

    def logged(self: Drive, events: Any, record: Any) -> None:
        log(self, events, record)
        if record.step == 2:
            for number in numbers:
                os.kill(os.getpid(), number)

    monkeypatch.setattr(Drive, "_log", logged)


@pytest.mark.parametrize(
    ("title", "number", "code"),
    [("Ctrl-C while training", signal.SIGINT, 130), ("SIGTERM while training", signal.SIGTERM, 75)],
)
def test_a_run_that_is_asked_to_stop_says_how_to_go_on(
    title: str,
    number: signal.Signals,
    code: int,
    told: Callable[..., Any],
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signalling(monkeypatch, number)
    run = tmp_path / "run"
    seen = told(title, "pretrain", workplace / "notes.jsonl", "--out", run, *QUICK, "4")
    assert seen.code == code
    assert f"stopped and saved at step 2 of 4; go on with: headwater resume {run}" in seen.err
    assert told("going on afterwards", "resume", run, about="resuming run at step").code == 0


def test_a_second_ctrl_c_stops_at_once(
    told: Callable[..., Any], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalling(monkeypatch, signal.SIGINT, signal.SIGINT)
    where = (workplace / "notes.jsonl", "--out", tmp_path / "run")
    seen = told("Ctrl-C twice", "pretrain", *where, *QUICK, "4", "--set", "training.checkpoint_steps=1")
    assert seen.code == 130
    assert "a run goes on from its last checkpoint: headwater resume RUN" in seen.err


@pytest.mark.parametrize("verb", ["inspect", "predict"])
def test_a_reader_that_has_seen_enough_ends_the_verb_well(
    verb: str, finetuned: "hw.Run", workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = [str(finetuned.path)] if verb == "predict" else []
    monkeypatch.setattr(sys, "argv", ["headwater", verb, *run, str(workplace / "test.csv")])
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
def test_an_answer_that_cannot_be_written_is_an_error(
    finetuned: "hw.Run",
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["headwater", "predict", str(finetuned.path), str(workplace / "test.csv"), "--quiet"]
    monkeypatch.setattr(sys, "argv", arguments)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 74
    assert "cannot be written to standard output: No space left on device" in capsys.readouterr().err


def test_a_fault_of_ours_is_called_one(
    told: Callable[..., Any], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("headwater.data.inspection.inspect", broken)
    seen = told("a fault of Headwater itself", "inspect", workplace / "test.csv")
    assert seen.code == 70
    assert "this is a fault of Headwater and not yours: run it again with --debug" in seen.err


@pytest.mark.slow
def test_a_memory_too_small_is_said(
    record_property: Callable[[str, object], None], workplace: Path, tmp_path: Path
) -> None:
    shutil.copy(workplace / "notes.jsonl", tmp_path)
    command = "pretrain notes.jsonl --out run --size base --steps 1 --set machine.threads=1"
    ended = outside(
        record_property, "2 GB of address space", command, tmp_path, (resource.RLIMIT_AS, 2 << 30)
    )
    assert ended.returncode == 70
    assert "the memory is full" in ended.stderr
    assert "choose a smaller --size" in ended.stderr


@pytest.mark.slow
def test_a_limit_on_file_sizes_is_said(
    record_property: Callable[[str, object], None], workplace: Path, tmp_path: Path
) -> None:
    shutil.copy(workplace / "notes.jsonl", tmp_path)
    command = "pretrain notes.jsonl --out run --size nano --steps 2 --set machine.threads=1"
    limit = (resource.RLIMIT_FSIZE, 3 << 20)
    ended = outside(record_property, "files of at most 3 MiB", command, tmp_path, limit)
    assert ended.returncode == 74
    assert "the checkpoint could not be saved" in ended.stderr
    assert "File too large" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "command", "code", "words"),
    [
        ("line.txt", "pretrain line.txt --out run --size nano --steps 1", 0, "1 documents (1.0 MB)"),
        ("line.csv", "finetune scratch line.csv --out run", 65, "1 line too long"),
    ],
)
def test_a_line_of_a_gigabyte_fits_in_memory(
    name: str,
    command: str,
    code: int,
    words: str,
    record_property: Callable[[str, object], None],
    tmp_path: Path,
) -> None:
    with (tmp_path / name).open("wb") as file:
        for _ in range(1000):
            file.write(b"a" * 1_000_000)
    limit = (resource.RLIMIT_AS, 4 << 30)
    ended = outside(record_property, "one line of 1 GB", command, tmp_path, limit)
    (tmp_path / name).unlink()
    assert ended.returncode == code, ended.stderr
    assert words in ended.stderr
