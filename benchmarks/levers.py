"""Every lever alone: the full set against the full set without it (or with it, where it is not in the set).

    python -m benchmarks.levers --threads 1

The prediction is what was seen on another processor (2 cores with avx512_bf16), before any of this was written.
"""

import argparse
import json
from dataclasses import dataclass, field
from typing import Any

from benchmarks.arena import Arena, from_command_line
from benchmarks.harness import Spread, contestants, environment, race, ratios, table, write_results
from headwater.training.precision import decide_precision

FULL = "full set"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lever:
    """``way`` changes the full set; ``removes`` says whether the change takes the lever away or puts it in."""

    work: str
    way: dict[str, Any]
    prediction: str
    removes: bool = True
    threads: dict[str, int] = field(default_factory=dict[str, int])  # of the full set and of the changed one
    steps: int = 5


LEVERS: dict[str, Lever] = {
    "output layer at hidden positions only": Lever(
        work="fixed", way={"gathered": False}, prediction="head 573 → 74 ms"
    ),
    "last block at hidden positions only": Lever(
        work="fixed", way={"gathered_early": False}, prediction="12 % fewer operations"
    ),
    "GeGLU in contiguous halves": Lever(work="fixed", way={"halves": False}, prediction="2 %"),
    "batches of like length": Lever(
        work="ragged", way={"length_grouping": False}, prediction="×1.4 … ×2.2", steps=3
    ),
    "packing instead of grouping": Lever(
        work="ragged", way={"packed": True}, prediction="×1.0", removes=False, steps=3
    ),
    "widths rounded to multiples of 8": Lever(
        work="ragged", way={"width_multiple": 8}, prediction="costs up to 5 %", removes=False, steps=3
    ),
    "fused AdamW": Lever(
        work="fixed", way={"fused": False}, prediction="×3.5 … 4.7 of the optimiser, 1 % of a step"
    ),
    "no dropout (against 0.1)": Lever(work="fixed", way={"dropout": 0.1}, prediction="×1.14 … 1.26"),
    "allocator keeps its memory": Lever(
        work="fixed", way={"allocator": False}, prediction="×1.14 … 1.16"
    ),
    "denormal numbers flushed": Lever(work="fixed", way={"flush_denormal": False}, prediction="none known"),
    "deterministic algorithms": Lever(work="fixed", way={"deterministic": False}, prediction="none known"),
    "masks and angles once a pass": Lever(work="ragged", way={"shared": False}, prediction="none known", steps=3),
    "prefetch in a thread": Lever(
        work="fixed", way={"prefetch": 0}, prediction="hides preparation, steals a core"
    ),
    "torch.compile of the blocks": Lever(
        work="fixed", way={"compiled": "default", "warm_steps": 6}, prediction="×1.06 … 1.18", removes=False
    ),
    "two threads instead of one": Lever(
        work="fixed", way={}, prediction="×2 on two free cores, ×0.5 on busy ones", removes=False,
        threads={"full": 1, "changed": 2},
    ),
    "attention of short rows multiplied out": Lever(
        work="fixed", way={"products": False}, prediction="a third of a step in bf16, nothing in fp32"
    ),
    "bf16 autocast": Lever(
        work="fixed", way={"precision": "fp32"}, prediction="×1.5 … 1.75 where the processor has it",
    ),
}  # fmt: skip


def measured(arena: Arena, lever: Lever, options: argparse.Namespace) -> dict[str, Any]:
    """One race of two; the effect is the rate with the lever over the rate without."""

    def command(threads: int, way: dict[str, Any]) -> list[str]:
        steps = {"segment_steps": lever.steps, "steps": lever.steps * options.rounds + 20}
        said = json.dumps({"threads": threads, **steps, **way})
        return ["-m", "benchmarks.ours", str(arena.folder), lever.work, "--way", said]

    full = command(lever.threads.get("full", options.threads), {})
    changed = command(lever.threads.get("changed", options.threads), lever.way)
    most = max(lever.threads.values(), default=options.threads)
    with contestants({FULL: full, "changed": changed}, threads=most, logs=arena.folder / "logs") as running:
        race(running, options.rounds)
        ends = [contestant.finish() for contestant in running]
    left, right = running if lever.removes else reversed(running)
    return {
        "wall": ratios(left.segments, right.segments),
        "cpu": ratios(left.segments, right.segments, "cpu"),
        "first_step_seconds": {entry.name: entry.ready["first_step_seconds"] for entry in running},
        "peak_bytes": [end["peak_bytes"] for end in ends],
        "segments": {entry.name: entry.segments for entry in running},
    }


def verdict(effect: Spread) -> str:
    """What may be said of an effect, given its range."""
    if effect.low > 1.0:
        return "helps"
    if effect.high < 1.0:
        return "hurts"
    return "not seen above the noise"


def main() -> None:
    """Race each lever, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=LEVERS, default=list(LEVERS))
    options, arena = from_command_line(parser)
    found: dict[str, Any] = {}
    if decide_precision("auto") == "fp32":  # nothing to take away
        options.only = [name for name in options.only if "precision" not in LEVERS[name].way]
    for name in options.only:
        print(name, flush=True)
        found[name] = measured(arena, LEVERS[name], options)
    rows = [
        [
            name,
            LEVERS[name].work,
            LEVERS[name].prediction,
            numbers["wall"].show(sign="×"),
            numbers["cpu"].show(sign="×"),
            verdict(numbers["cpu"] if not LEVERS[name].threads else numbers["wall"]),
        ]
        for name, numbers in found.items()
    ]
    header = ["lever", "documents", "predicted", "seen by the clock", "by processor time", ""]
    kind = decide_precision("auto")
    text = (
        f"# Levers, one by one (tiny, {options.threads} thread(s), {kind})\n\nRate with the lever over rate "
        f"without it, all other levers pulled; median of {options.rounds} interleaved pairs "
        f"(smallest … largest).\n\n{table(header, rows)}"
    )
    if (compiled := found.get("torch.compile of the blocks")) is not None:
        seconds = compiled["first_step_seconds"]
        text += f"\n\nFirst step: {seconds[FULL]:.1f} s eager, {seconds['changed']:.1f} s compiled."
    write_results("levers", environment(threads=options.threads), text, found)


if __name__ == "__main__":
    main()
