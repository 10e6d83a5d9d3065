"""Memory and time of attention against length: forward and backward, four ways.

    python -m benchmarks.attention --threads 1

Each measurement is a process of its own, because the highest mark of a process never falls. Memory is that mark
above the one with the inputs, their gradients and a warm kernel in place.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.harness import ROOT, Spread, environment, table, write_results

HEADS, HEAD_DIM, WINDOW = 4, 64, 512
LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)
LARGEST_SQUARE = 8192
"""Beyond this, kernels that hold a square of (query, key) pairs do not fit into an ordinary machine."""
WAYS: dict[str, dict[str, Any]] = {
    "written out": {"kernel": "reference", "causal": True, "most": LARGEST_SQUARE},
    "dense mask": {"kernel": "dense", "causal": True, "most": LARGEST_SQUARE},
    "fused": {"kernel": "fused", "causal": True},
    f"window of {WINDOW}": {"kernel": "windowed", "causal": True, "window": WINDOW},
}


def measure(way: dict[str, Any], length: int) -> dict[str, float]:
    """Forward and backward of one causal attention, in this process."""
    import torch

    from headwater.nn.attention import AttentionInputs, AttentionMask, attention
    from headwater.sequence import SequenceLayout
    from headwater.training.precision import use_threads

    use_threads(int(os.environ["OMP_NUM_THREADS"]))
    mask = AttentionMask(causal=True, window=way.get("window"))

    def once(tokens: int) -> dict[str, float]:
        drawn = torch.randn(4, 1, tokens, HEADS, HEAD_DIM)
        query, key, value = (part.clone().requires_grad_() for part in drawn[:3])
        layout = SequenceLayout.dense(1, tokens)
        for leaf in (query, key, value):
            leaf.grad = torch.zeros_like(leaf)
        _forget_highest_mark()
        before, began = _status("VmRSS"), time.perf_counter()
        inputs = AttentionInputs(query, key, value, mask=mask, query_layout=layout, key_layout=layout)
        attention(inputs, kernel=way["kernel"]).backward(drawn[3])
        return {"seconds": time.perf_counter() - began, "bytes": _status("VmHWM") - before}

    once(768)
    return once(length)


def _forget_highest_mark() -> None:
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 - a switch of the kernel, not a file
        file.write("5")


def _status(name: str) -> int:
    """Bytes of resident memory now (VmRSS) or at most (VmHWM)."""
    with open("/proc/self/status") as file:  # noqa: PTH123
        line = next(line for line in file if line.startswith(name))
    return int(line.split()[1]) * 1024


def in_process(way: dict[str, Any], length: int, threads: int) -> dict[str, float]:
    """``measure`` in a fresh process."""
    said = json.dumps({"way": way, "length": length})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.attention", "--measure", said],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)}, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def main() -> None:
    """All ways at all lengths, several rounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=int, default=LENGTHS[-1])
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(**options.measure)))
        return
    found: dict[str, dict[int, list[dict[str, float]]]] = {name: {} for name in WAYS}
    for _ in range(options.rounds):
        for length in (length for length in LENGTHS if length <= options.longest):
            for name, way in WAYS.items():
                if length <= way.get("most", length):
                    found[name].setdefault(length, []).append(in_process(way, length, options.threads))
            print(
                length, {name: found[name][length][-1] for name in WAYS if length in found[name]}, flush=True
            )
    text = (
        f"# Attention against length\n\nCausal, one row, {HEADS} heads of {HEAD_DIM}, fp32, forward and backward, "
        f"{options.threads} thread(s); median of {options.rounds} processes each. "
        "—: a square of this side is not tried.\n\n"
        f"## Seconds\n\n{_table(found, 'seconds', 1.0, 2)}\n\n"
        f"## Memory above inputs and their gradients, MiB\n\n{_table(found, 'bytes', 2.0**20, 0)}"
    )
    write_results("attention", environment(threads=options.threads), text, found)


def _table(found: dict[str, dict[int, list[dict[str, float]]]], what: str, unit: float, digits: int) -> str:
    lengths = sorted({length for entries in found.values() for length in entries})

    def cell(entries: list[dict[str, float]] | None) -> str:
        if entries is None:
            return "—"
        return Spread.of([entry[what] / unit for entry in entries]).show(digits)

    rows = [[name, *(cell(entries.get(length)) for length in lengths)] for name, entries in found.items()]
    return table(["", *(f"{length:,}" for length in lengths)], rows)


if __name__ == "__main__":
    main()
