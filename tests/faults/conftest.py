"""The whole program under attack: a corpus, a way to start commands, and what two equal runs must share."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

WORDS = {
    "weather": ("rain", "wind", "cloud", "storm", "sunshine", "frost"),
    "kitchen": ("bread", "soup", "onion", "butter", "pepper", "plate"),
    "harbour": ("boat", "anchor", "sailor", "wave", "crane", "rope"),
}
SMALL = (
    "--size",
    "nano",
    "--quiet",
    "--set",
    "training.length=32",
    "--set",
    "model.width=64",
    "--set",
    "model.num_heads=2",
)


def sentence(rng: random.Random, subject: str) -> str:
    one, two, three = rng.sample(WORDS[subject], 3)
    return f"the {one} came before the {two} and the {three} stayed for {rng.randrange(9999)} days"


@dataclass(frozen=True)
class Launcher:
    """Starts commands in forks of a process that has loaded the program; see forking_launcher.py."""

    process: "subprocess.Popen[str]"
    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def __call__(self, *arguments: object, **how: Any) -> "Ended":
        log = self.folder / f"{len(list(self.folder.glob('*.log')))}.log"
        how["environment"] = {**self.environment, **how.get("environment", {})}
        request = {"arguments": [str(argument) for argument in arguments], "log": str(log), **how}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        others = [path.read_text() for path in sorted(self.folder.glob(f"{log.name}.rank-*"))]
        return Ended(**answer, said=log.read_text(errors="replace"), others=others)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    codes: list[int]
    calls: int
    seconds: float
    said: str
    others: list[str]


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with notes to learn from and labelled rows."""
    folder = tmp_path_factory.mktemp("attacked")
    rng = random.Random(1)
    subjects = list(WORDS)
    notes = [sentence(rng, rng.choice(subjects)) for _ in range(500)]
    (folder / "notes.jsonl").write_text("".join(json.dumps({"note": text}) + "\n" for text in notes))
    for name, rows in (("train", 90), ("validation", 45)):
        lines = [f"{sentence(rng, subject)},{subject}\n" for subject in subjects * (rows // 3)]
        (folder / f"{name}.csv").write_text("text,label\n" + "".join(lines))
    return folder


@pytest.fixture(scope="session")
def headwater(attacked: Path) -> Generator[Launcher]:
    """The program, to be run and killed."""
    script = Path(__file__).with_name("forking_launcher.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    yield Launcher(process, attacked, {"HEADWATER_CACHE": str(attacked / "cache")})
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="session")
def parent_run(headwater: Launcher, attacked: Path) -> Path:
    """A small pre-trained run to fine-tune from."""
    run = attacked / "parent"
    ended = headwater("pretrain", attacked / "notes.jsonl", "--out", run, "--steps", 4, *SMALL)
    assert ended.code == 0, ended.said
    return run


@pytest.fixture(scope="session")
def same_run() -> Callable[[Path, Path], None]:
    """Asserts that two finished runs are one and the same to the bit, what was measured on the way excepted."""
    return assert_same


CLOCK = ("time", "seconds", "tokens_per_second")


def assert_same(one: Path, other: Path) -> None:
    for name in ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (one / "model" / name).read_bytes() == (other / "model" / name).read_bytes(), name
    assert card(one) == card(other)
    assert (one / "settings.toml").read_bytes() == (other / "settings.toml").read_bytes()
    assert (one / "data.json").read_bytes() == (other / "data.json").read_bytes()
    assert events(one) == events(other)
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    assert not list(other.glob("**/.*")), "something half written was left behind"


def card(run: Path) -> dict[str, Any]:
    found = json.loads((run / "model" / "headwater.json").read_text(encoding="utf-8"))
    for measured in ("seconds", "peak_memory"):
        found["trained"].pop(measured)
    return found


def events(run: Path) -> list[dict[str, Any]]:
    from headwater.training.events import read_events

    return [{name: value for name, value in event.items() if name not in CLOCK} for event in read_events(run)]
