"""How long until a program answers: ``headwater --help`` and imports, against the imports of its peers.

python -m benchmarks.start_up
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import Spread, environment, table, version, write_results

PROGRAM = str(Path(sys.executable).with_name("headwater"))
STARTS: dict[str, list[str]] = {
    "python, nothing imported": [sys.executable, "-c", "pass"],
    "import headwater": [sys.executable, "-c", "import headwater"],
    "headwater --help": [PROGRAM, "--help"],
    "headwater pretrain --help": [PROGRAM, "pretrain", "--help"],
    "import torch": [sys.executable, "-c", "import torch"],
    "import what headwater pretrain needs": [sys.executable, "-c", "import headwater.run.pretraining"],
    "from transformers import Trainer": [sys.executable, "-c", "from transformers import Trainer"],
    "transformers --help": [str(Path(sys.executable).with_name("transformers")), "--help"],
}


def seconds(command: list[str]) -> float:
    """One start, from nothing to its end."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Start each in turn, several rounds; the first round fills the disk cache and is not counted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    found: dict[str, list[float]] = {name: [] for name in STARTS}
    for number in range(rounds + 1):
        for name, command in STARTS.items():
            took = seconds(command)
            if number:
                found[name].append(took)
    torch_alone = Spread.of(found["import torch"]).median
    rows = [
        [name, Spread.of(samples).show(), f"{Spread.of(samples).median / torch_alone:.2f}"]
        for name, samples in found.items()
    ]
    text = (
        f"# Start-up\n\nSeconds from starting the process to its end; median of {rounds} interleaved starts "
        f"(smallest … largest), disk cache warm.\n\n{table(['start', 'seconds', 'over `import torch`'], rows)}"
    )
    write_results("start-up", environment(transformers=version("transformers")), text, found)


if __name__ == "__main__":
    main()
