"""Folders in the making: whose maker lives is left alone, whose maker was killed is removed."""

import contextlib
import shutil
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from headwater.errors import StorageError

if sys.platform != "win32":
    import fcntl

_LOCK = "being-made"
_UNLOCKED_SECONDS = 3600.0
"""A maker creates its folder, then the lock in it: a folder without one is abandoned only after a while."""


def is_whole(folder: Path, files: Sequence[str]) -> bool:
    """True where all of these files stand in the folder."""
    return all((folder / name).is_file() for name in files)


@contextlib.contextmanager
def made_aside(folder: Path, files: Sequence[str]) -> Generator[Path]:
    """A folder aside to write ``files`` in; after the block it is ``folder``, unless another maker was faster.

    What a maker that was killed left beside it is removed first; what this one leaves on an error, too.
    """
    aside = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}")
    try:
        sweep_abandoned(folder.parent)
        with held(aside):
            yield aside
        _put_in_place(aside, folder, files)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def made_in_cache(folder: Path, files: Sequence[str], refusal: str) -> Generator[Path]:
    """``made_aside`` in the cache; where the disk refuses, a StorageError that begins with ``refusal``."""
    try:
        with made_aside(folder, files) as aside:
            yield aside
    except OSError as error:
        raise StorageError(
            f"{refusal} in {folder.parent}: {error}; make room or give access there, or name another folder with "
            "HEADWATER_CACHE"
        ) from error


def _put_in_place(aside: Path, folder: Path, files: Sequence[str]) -> None:
    """Give a folder its name, unless another process has made the same one meanwhile and may be reading it."""
    if not is_whole(folder, files):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            aside.rename(folder)
        except OSError:
            if not is_whole(folder, files):  # else the other process was faster between these two lines
                raise


@contextlib.contextmanager
def held(aside: Path) -> Generator[None]:
    """Make the folder ``aside`` and hold it while the block lasts; the hold ends with the process, however it ends."""
    aside.mkdir(parents=True)
    with (aside / _LOCK).open("wb") as lock:
        _take(lock)
        yield
    (aside / _LOCK).unlink(missing_ok=True)


def sweep_abandoned(folder: Path) -> None:
    """Remove the folders aside (their names begin with a dot) that killed processes left in ``folder``."""
    for aside in folder.glob(".*") if folder.is_dir() else ():
        if aside.is_dir() and _is_abandoned(aside):
            shutil.rmtree(aside, ignore_errors=True)


def _is_abandoned(aside: Path) -> bool:
    try:
        with (aside / _LOCK).open("rb") as lock:
            return _take(lock)
    except FileNotFoundError:
        return aside.is_dir() and time.time() - aside.stat().st_mtime > _UNLOCKED_SECONDS


def _take(lock: BinaryIO) -> bool:
    """True if nobody else holds the lock; where the system has none, nobody can tell."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
