"""Folders in the making: whose maker lives is left alone, whose maker was killed is removed."""

import contextlib
import shutil
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_LOCK = "being-made"
_UNLOCKED_SECONDS = 3600.0
"""A maker creates its folder, then the lock in it: a folder without one is abandoned only after a while."""


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
