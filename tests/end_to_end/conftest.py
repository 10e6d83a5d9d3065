"""A small corpus with something to learn, and one pre-trained run that the tests of a session share."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import headwater as hw
from headwater.cli.app import main

SUBJECTS = {
    "weather": ("rain", "wind", "cloud", "storm", "sunshine", "frost"),
    "kitchen": ("bread", "soup", "onion", "butter", "pepper", "plate"),
    "harbour": ("boat", "anchor", "sailor", "wave", "crane", "rope"),
}
FRAMES = (
    "the {} came early and the {} stayed until the {} was gone",
    "nobody had seen the {} near the {} before the {} that day",
    "we talked about {} and {} while the {} went on",
)


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Texts with their subject: each frame filled with three words of one subject."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str]] = []
    for _ in range(count):
        subject = str(rng.choice(list(SUBJECTS)))
        words = rng.choice(SUBJECTS[subject], 3)
        rows.append((f"{rng.choice(FRAMES).format(*words)} ({rng.integers(10_000)})", subject))
    return rows


def write_table(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with notes to learn from and labelled rows; the cache stays inside it."""
    folder = tmp_path_factory.mktemp("workplace")
    notes = [{"note": text} for text, _ in sentences(600, 1)]
    (folder / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in notes), encoding="utf-8")
    write_table(folder / "train.csv", sentences(120, 2))
    write_table(folder / "test.csv", sentences(60, 3))
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache(workplace: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWATER_CACHE", str(workplace / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def pretrained(workplace: Path, cache: object) -> "hw.Run":
    return hw.pretrain(
        workplace / "notes.jsonl",
        out=workplace / "runs" / "pretrained",
        size="nano",
        steps=12,
        hold_out=workplace / "test.csv",
        assign=["training.length=64", "training.batch_tokens=512"],
        quiet=True,
    )


@pytest.fixture(scope="session")
def finetuned(workplace: Path, pretrained: "hw.Run") -> "hw.Run":
    return hw.finetune(
        pretrained,
        workplace / "train.csv",
        out=workplace / "runs" / "finetuned",
        validation=workplace / "test.csv",
        steps=30,
        quiet=True,
    )


class Seen(NamedTuple):
    """What one command left on a user's screen."""

    code: int
    out: str
    err: str

    def line(self, about: str) -> str:
        """The line that speaks of ``about``, or the one to read first: the error, a remark, the answer."""
        said = [line for line in [*self.err.splitlines(), *self.out.splitlines()] if line]
        errors = [line for line in said if line.startswith(("headwater:", "Error:"))]
        told = [line for line in said if about and about in line]
        return next(iter([*told, *errors, *said]), "(nothing)")


@pytest.fixture
def told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    workplace: Path,
    tmp_path: Path,
) -> Callable[..., Seen]:
    """Runs one command line in this process and keeps a row for docs/hostile-inputs.md.

    ``about`` picks the line that the row shows.
    """
    short = " --set (machine.threads=1|training.length=32)"  # for the tests' speed: nothing to read about

    def run(title: str, *arguments: object, stdin: bytes = b"", about: str = "") -> Seen:
        monkeypatch.setattr(sys, "argv", ["headwater", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        seen = Seen(int(end.value.code or 0), printed.out, printed.err)
        plain = [
            re.sub(f"(({re.escape(str(tmp_path))}|{re.escape(str(workplace))})/?|{short})", "", text)
            for text in (" ".join(map(str, ["headwater", *arguments])), seen.line(about))
        ]
        plain = [text.encode("utf-8", "backslashreplace").decode() for text in plain]  # names may be no text
        record_property("hostile", (title, plain[0], seen.code, plain[1]))
        return seen

    return run
