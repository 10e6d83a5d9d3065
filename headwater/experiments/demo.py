"""The main job in a few minutes on text that every Python carries: a demonstration, not a verdict."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headwater.experiments.demo_corpus import DemoFiles, write_demo_corpus
from headwater.experiments.gain import GainResult, gain
from headwater.run.verbs import Run, pretrain
from headwater.training.progress import Progress

MINUTES = 1.5
BUDGETS = "8,32"
STEPS = 80
"""Fine-tuning steps of every neural arm: enough to see the difference, few enough for a demonstration."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo made and measured."""

    run: Run
    files: DemoFiles
    gain: GainResult

    def to_dict(self) -> dict[str, Any]:
        """The run, the data and the gain as plain values."""
        return {
            "run": str(self.run.path),
            "classes": list(self.files.classes),
            "characters": self.files.characters,
            "gain": self.gain.to_dict(),
        }

    def __str__(self) -> str:
        return (
            f"A demonstration with one seed, not a verdict. The pool: {self.files.characters / 1e6:.1f} M characters "
            f"of documentation that this Python carries. The task: which package does a docstring come from "
            f"({', '.join(self.files.classes)}); {self.files.test_rows} test rows from modules held out of "
            f"everything.\n\n{self.gain}"
        )


def demo(out: str | Path = "runs/demo", *, quiet: bool = False) -> DemoResult:
    """Vocabulary, pre-training (nano), two label budgets, every arm, one seed; at most five minutes on two cores."""
    out = Path(out)
    if (out / "data" / "pool.jsonl").is_file():
        shutil.rmtree(out / "pretrained", ignore_errors=True)  # from an earlier demo: it is made anew
    with Progress(quiet=quiet) as progress:
        files = write_demo_corpus(out / "data", partial(progress.report, "reading Python's library"))
    run = pretrain(
        files.pool, out=out / "pretrained", size="nano", minutes=MINUTES, hold_out=files.test, quiet=quiet
    )
    result = gain(
        run,
        files.train,
        test=files.test,
        budgets=BUDGETS,
        seeds=1,
        assign=[f"training.steps={STEPS}"],
        quiet=quiet,
    )
    return DemoResult(run, files, result)
