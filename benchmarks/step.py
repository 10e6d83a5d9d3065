"""Where a training step goes: processor time of every operation, forward and backward.

    python -m benchmarks.step --work fixed

Unlike a profiler's clock, processor time of the computing thread does not grow when other programs take the core.
One thread: with more, the time of the others would be missing.
"""

import argparse
import time
from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import ours
from benchmarks.arena import WORKS, from_command_line
from benchmarks.harness import environment, table, write_results
from headwater.training.precision import decide_precision

KINDS = {
    "matrix products": ("aten.mm", "aten.addmm"),
    "attention": (
        "aten._scaled_dot_product",
        "aten.bmm",
        "aten.baddbmm",
        "aten._softmax",
        "aten.exp",
        "aten.amax",
    ),
    "rounding to bf16 and back": ("aten._to_copy",),
    "GELU": ("aten.gelu",),
    "cross-entropy": ("aten._log_softmax", "aten.nll_loss"),
    "norms": ("aten.native_layer_norm",),
    "optimiser, clipping": ("aten._fused_adamw", "aten._foreach"),
    "embedding, gathering": ("aten.embedding", "aten.index", "aten.unfold"),
}
REST = "products, sums, rotation, copies"
DEAREST = 12
"""Operations that are listed by themselves."""
PEAK_SIDE = 2048


class Stopwatch(TorchDispatchMode):
    """Adds up the processor time of each operation while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count its time."""
        began = time.thread_time()
        result = func(*args, **(kwargs or {}))
        self.seconds[str(func)] += time.thread_time() - began  # type: ignore[assignment]
        return result


def by_kind(seconds: Counter[str]) -> Counter[str]:
    """The operations under the words of ``KINDS``."""
    found: Counter[str] = Counter()
    for operation, spent in seconds.items():
        kinds = (kind for kind, starts in KINDS.items() if operation.startswith(starts))
        found[next(kinds, REST)] += spent  # type: ignore[assignment]
    return found


def matrix_peak(precision: str) -> float:
    """Floating-point operations per second of the best of a few large products."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, best = torch.randn(PEAK_SIDE, PEAK_SIDE, dtype=kind), 0.0
    for _ in range(5):
        began = time.thread_time()
        _ = left @ left
        best = max(best, 2.0 * PEAK_SIDE**3 / (time.thread_time() - began))
    return best


def main() -> None:
    """A few steps under the stopwatch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", choices=WORKS, default="fixed")
    parser.add_argument("--steps", type=int, default=8)
    options, arena = from_command_line(parser)
    way = ours.Way()
    ours.prepare_machine(way)
    records = ours.steps_of(*ours.build(arena, options.work, way), way)
    for _ in range(way.warm_steps):
        next(records)
    precision = decide_precision("auto")
    peak, watch, began = matrix_peak(precision), Stopwatch(), time.thread_time()
    with watch:
        tokens = sum(next(records).tokens for _ in range(options.steps))
    whole = (time.thread_time() - began) / options.steps
    records.close()
    kinds = {kind: spent / options.steps for kind, spent in by_kind(watch.seconds).most_common()}
    kinds["everything else: Python, autograd, the stopwatch"] = whole - sum(kinds.values())
    ideal = tokens / options.steps * arena.flops_per_token(options.work, way.size) / peak
    text = (
        f"# Where a training step goes ({options.work}, {way.size}, 1 thread, {precision})\n\n"
        f"Processor time, mean of {options.steps} steps of {tokens / options.steps:,.0f} real tokens: "
        f"{whole * 1e3:,.0f} ms. All model operations at the matrix peak ({peak / 1e9:.0f} GFLOP/s) would take "
        f"{ideal * 1e3:,.0f} ms.\n\n"
        + table(
            ["kind", "ms", "share"],
            [[kind, f"{spent * 1e3:,.1f}", f"{spent / whole:.1%}"] for kind, spent in kinds.items()],
        )
        + "\nThe dearest operations:\n\n"
        + table(
            ["operation", "ms"],
            [
                [f"`{name}`", f"{spent / options.steps * 1e3:,.1f}"]
                for name, spent in watch.seconds.most_common(DEAREST)
            ],
        )
    )
    write_results(f"step-{options.work}", environment(threads=1), text, {"kinds": kinds, "ideal": ideal})


if __name__ == "__main__":
    main()
