"""Makes benchmarks/results/DATE-mutations.md: python -m tests.unit.data.mutation_table

The files of the slow tests, 200 of each format of pictures, recordings and clips with bytes changed, cut off or put
in, each format decoded by a process of its own: what is read, what is refused in words, what falls.
"""

import datetime
import io
import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from headwater.data.readers.clips import decoded_clip
from headwater.data.readers.pictures import decoded
from headwater.data.readers.sounds import decoded_sound
from headwater.errors import BadDataError
from tests.unit.data import test_clips, test_pictures, test_recordings

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
COUNT = 200
PATIENCE = 120.0
"""Seconds for a format; a process that takes longer hangs."""


class Medium(NamedTuple):
    """How its files are damaged and decoded."""

    damaged: Callable[[str, int], Iterator[bytes]]
    decode: Callable[[io.BytesIO], object]
    formats: tuple[str, ...]


MEDIA = {
    "pictures": Medium(test_pictures.damaged_files, decoded, tuple(test_pictures.FORMATS)),
    "recordings": Medium(test_recordings.damaged_files, decoded_sound, tuple(test_recordings.FORMATS)),
    "clips": Medium(test_clips.damaged_files, decoded_clip, tuple(test_clips.CODECS)),
}


class Found(NamedTuple):
    """What became of the files of a format."""

    read: int
    refused: int
    fell: tuple[str, ...]
    slowest: float
    seconds: float


def attacked(what: str, kind: str) -> Found:
    """Decode all damaged files of a format."""
    medium = MEDIA[what]
    read = refused = 0
    fell: list[str] = []
    times: list[float] = []
    for damaged in medium.damaged(kind, COUNT):
        start = time.process_time()
        try:
            medium.decode(io.BytesIO(damaged))
            read += 1
        except BadDataError:
            refused += 1
        except Exception as problem:
            fell.append(type(problem).__name__)
        times.append(time.process_time() - start)
    return Found(read, refused, tuple(fell), max(times), sum(times))


def _told(what: str, kind: str) -> str:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        answer = pool.apply_async(attacked, (what, kind))
        try:
            found = answer.get(PATIENCE)
        except (
            multiprocessing.TimeoutError
        ):  # a decoder that kills its process answers as little as one that hangs
            return f"| {what} | {kind} | | | killed the process, or took more than {PATIENCE:.0f} s | | |"
    fell = ", ".join(sorted(set(found.fell))) or "0"
    milliseconds = f"{1000 * found.slowest:.0f}"
    return f"| {what} | {kind} | {found.read} | {found.refused} | {fell} | {milliseconds} | {found.seconds:.1f} |"


def main() -> None:
    """Write the table."""
    lines = [
        "# 200 damaged files of each format",
        "",
        f"{datetime.date.today()}, one shared core of an AMD EPYC: python -m tests.unit.data.mutation_table",
        "",
        "| | format | read | refused in words | fell | slowest, ms | all, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, medium in MEDIA.items():
        for kind in medium.formats:
            lines.append(_told(what, kind))
            print(lines[-1], flush=True)
    path = RESULTS / f"{datetime.date.today()}-mutations.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
