"""The main job in a few minutes on data that every installation carries: a demonstration, not a verdict."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from headwater.errors import UsageError
from headwater.experiments.arms import RATES
from headwater.experiments.demo_corpus import DemoFiles, write_demo_corpus
from headwater.experiments.demo_media import write_demo_clips, write_demo_pictures, write_demo_recordings
from headwater.experiments.gain import GainResult, gain
from headwater.run.verbs import Run, pretrain
from headwater.settings import unknown_choice
from headwater.training.progress import Progress


class Demonstration(NamedTuple):
    """The data of a demo, its minutes of pre-training, its label budgets, and the steps of every neural arm: enough to
    see the difference, few enough for a demonstration. Where they are not the usual ones, its pretext task, its
    other settings, and how many learning rates each arm chooses among."""

    write: Callable[[Path, Progress], DemoFiles]
    minutes: float
    budgets: str
    steps: int
    objective: str | None = None
    asked: tuple[str, ...] = ()
    rates: int = RATES


def _corpus(folder: Path, progress: Progress) -> DemoFiles:
    return write_demo_corpus(folder, partial(progress.report, "reading Python's library"))


DEMOS: Mapping[str, Demonstration] = {
    "text": Demonstration(_corpus, 1.5, "8,32", 80),
    "image": Demonstration(lambda folder, _: write_demo_pictures(folder), 0.75, "2,8", 100),
    "audio": Demonstration(
        lambda folder, _: write_demo_recordings(folder),
        *(1.0, "4,16", 120, "view_contrast"),
        rates=1,
    ),
    "video": Demonstration(lambda folder, _: write_demo_clips(folder), 0.75, "4,16", 80, rates=1),
}


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
            "pool": self.files.told,
            "gain": self.gain.to_dict(),
        }

    def __str__(self) -> str:
        return (
            f"A demonstration with one seed, not a verdict. The pool: {self.files.told}. The task: "
            f"{self.files.question} ({', '.join(self.files.classes)}); {self.files.test_rows} test rows, held out of "
            f"everything.\n\n{self.gain}"
        )


def demo(kind: str = "text", out: str | Path | None = None, *, quiet: bool = False) -> DemoResult:
    """Pre-training (nano), two label budgets, every arm, one seed; at most five minutes on two cores.

    ``kind`` is text, image, audio or video; ``out`` is runs/demo, or runs/demo-KIND, where nothing is said.
    """
    if kind not in DEMOS:
        raise UsageError(unknown_choice("demo", kind, list(DEMOS)))
    shown = DEMOS[kind]
    out = Path("runs/demo" if kind == "text" else f"runs/demo-{kind}") if out is None else Path(out)
    if (out / "data").is_dir():
        shutil.rmtree(out / "pretrained", ignore_errors=True)  # from an earlier demo: it is made anew
    with Progress(quiet=quiet) as progress:
        files = shown.write(out / "data", progress)
    run = pretrain(
        files.unlabelled or files.train,
        out=out / "pretrained",
        size="nano",
        minutes=shown.minutes,
        objective=shown.objective,
        hold_out=files.test,
        assign=shown.asked,
        quiet=quiet,
    )
    result = gain(
        run,
        files.train,
        test=files.test,
        budgets=shown.budgets,
        seeds=1,
        rates=shown.rates,
        assign=[f"training.steps={shown.steps}"],
        quiet=quiet,
    )
    return DemoResult(run, files, result)
