"""How long until a program answers, and until a run has taken its first step, against the imports of its peers.

python -m benchmarks.start_up --data FOLDER
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import Spread, environment, table, version, write_results

PROGRAM = str(Path(sys.executable).with_name("headwater"))
TORCH = "import torch"
FIRST_STEP = "first step of headwater pretrain (tiny), stores ready"
STARTS: dict[str, list[str]] = {
    "python, nothing imported": [sys.executable, "-c", "pass"],
    "import headwater": [sys.executable, "-c", "import headwater"],
    "headwater --help": [PROGRAM, "--help"],
    "headwater pretrain --help": [PROGRAM, "pretrain", "--help"],
    TORCH: [sys.executable, "-c", "import torch"],
    "import what headwater pretrain needs": [sys.executable, "-c", "import headwater.run.pretraining"],
    "from transformers import Trainer": [sys.executable, "-c", "from transformers import Trainer"],
    "transformers --help": [str(Path(sys.executable).with_name("transformers")), "--help"],
}


def seconds(command: list[str]) -> float:
    """One start, from nothing to its end."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def seconds_to_first_step(data: Path, folder: Path) -> float:
    """From starting ``headwater pretrain`` to the end of its first step, as its log of events has it."""
    out = Path(tempfile.mkdtemp(dir=folder)) / "run"
    command = [PROGRAM, "pretrain", str(data), "--size", "tiny", "--steps", "1", "--out", str(out), "--quiet"]
    began = time.time()
    environment = {**os.environ, "HEADWATER_CACHE": str(folder / "cache")}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    events = (json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines())
    return next(event["time"] for event in events if event["kind"] == "train") - began


def main() -> None:
    """Start each in turn, several rounds; the first round fills caches and is not counted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", type=Path, default=os.environ.get("HEADWATER_DATA"), help="the data sets")
    given = parser.parse_args()
    if given.data is None:
        parser.error("name the folder of the data sets with --data or HEADWATER_DATA")
    with tempfile.TemporaryDirectory() as folder:
        starts: dict[str, Callable[[], float]] = {
            name: lambda command=command: seconds(command) for name, command in STARTS.items()
        }
        corpus = Path(given.data) / "lm" / "english_mixed"
        starts[FIRST_STEP] = lambda: seconds_to_first_step(corpus, Path(folder))
        found: dict[str, list[float]] = {name: [] for name in starts}
        for number in range(given.rounds + 1):
            for name, start in starts.items():
                took = start()
                if number:
                    found[name].append(took)
    torch_alone = Spread.of(found[TORCH]).median
    rows = [
        [name, Spread.of(samples).show(), f"{Spread.of(samples).median / torch_alone:.2f}"]
        for name, samples in found.items()
    ]
    beyond = Spread.of(found[FIRST_STEP]).median - torch_alone
    text = (
        f"# Start-up\n\nSeconds from starting the process to its end, or to the end of its first step; median of "
        f"{given.rounds} interleaved starts (smallest … largest), caches warm. The first step ends {beyond:.2f} s "
        f"after `{TORCH}` would have.\n\n{table(['start', 'seconds', f'over `{TORCH}`'], rows)}"
    )
    write_results("start-up", environment(transformers=version("transformers")), text, found)


if __name__ == "__main__":
    main()
