"""Whether decoding or changing pictures, recordings and clips ever holds a model up.

    python -m benchmarks.feeding --threads 1

Three speeds for each data set, by processor time, so that other programs do not count: decoding, once a run (files →
arrays of one size, repetitions found); batches drawn from these arrays, each time another view, without a model;
training steps of the smallest model, in turn on one batch that lies ready and on batches that are drawn.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import Spread, environment, table, write_results
from headwater.data.kinds import Learnt
from headwater.run.choosing_objective import Given, Pretext
from headwater.run.deriving import derive_pretraining, derive_rhythm
from headwater.run.learning import build_learner, build_plan
from headwater.run.pictures import Pictures
from headwater.run.settings import RunSettings
from headwater.sequence import Batch
from headwater.settings import assignments, merged
from headwater.training.distributed import World
from headwater.training.loop import train
from headwater.training.precision import decide_precision
from headwater.training.progress import Progress


@dataclass(frozen=True, slots=True)
class Pile:
    """Data of one kind, and what is learnt from them."""

    name: str
    modality: Learnt
    path: str
    objective: str
    assign: Sequence[str] = ()


PILES = (
    Pile("CIFAR-10, JPEG in a zip archive", "image", "images/cifar10_jpeg/train.zip", "masked_autoencoding"),
    Pile("the same, two views of each", "image", "images/cifar10_jpeg/train.zip", "view_contrast"),
    Pile("spoken digits, WAV", "audio", "audio/fsdd", "masked_spectrogram"),
    Pile(
        "the same, two views in other voices", "audio", "audio/fsdd", "view_contrast", ("training.varied=1",)
    ),
    Pile("sprites, arrays in an npz file", "video", "video/lpc_sprites/train.npz", "masked_tubelets"),
)


class Work:
    """What a run of one pile does between its start and its end, in pieces that can be timed."""

    def __init__(self, pile: Pile, data: Path, cache: Path, threads: int) -> None:
        values: dict[str, Any] = {
            "kind": "pretrain",
            "data": {"paths": [str(data / pile.path)], "cache": str(cache)},
            "model": {"size": "nano"},
            "objective": {"name": pile.objective},
            "training": {"steps": 1_000},
            "machine": {"device": "cpu", "threads": threads, "precision": decide_precision("auto")},
        }
        settings = RunSettings.from_mapping(merged(values, assignments(pile.assign)))
        began = time.process_time()
        matter = Pictures.gather(settings, pile.modality, None, Progress(quiet=True), lambda: None)
        self.decoding = time.process_time() - began
        self.items = int(matter.pool.facts["items"]) + int(matter.pool.facts["validation"]["items"])
        self.settings = derive_rhythm(derive_pretraining(matter.derived(settings)), evaluate=False)
        pretext = Pretext.named(pile.objective, self.settings.data.paths)
        model = matter.model(self.settings, pretext)
        given = Given(matter.sequencer, self.settings.objective, model, 0, matter.sample)
        self.learner = build_learner(model, pretext.build(given), self.settings.training)
        self.batches = matter.batches(self.settings, pretext)
        self.rows = self.settings.training.batch_rows or 1

    def drawn(self, count: int) -> float:
        """Seconds of ``count`` batches without a model."""
        began = time.process_time()
        for number in range(count):
            self.batches.batch(number)
        return time.process_time() - began

    def stepped(self, batch_of: Callable[[int], Batch], count: int) -> float:
        """Seconds of ``count`` training steps, what starts them up not counted."""
        plan = replace(build_plan(self.settings, torch.device("cpu"), World()), steps=count + 2)
        began = 0.0
        for number, _ in enumerate(train(self.learner, batch_of, plan)):
            if number == 1:
                began = time.process_time()
        return time.process_time() - began


def measured(work: Work, rounds: int, steps: int) -> dict[str, float]:
    """Items a second of each, medians over the rounds, and the share of a step that drawing its batch takes."""
    ready = work.batches.batch(0)
    alone, fed, drawn = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        alone.append(work.stepped(lambda _: ready, steps) / steps)
        fed.append(work.stepped(work.batches.batch, steps) / steps)
        drawn.append(work.drawn(steps) / steps)
    batch, step, whole = (Spread.of(samples).median for samples in (drawn, alone, fed))
    return {
        "decoding": work.items / work.decoding,
        "drawing": work.rows / batch,
        "stepping": work.rows / step,
        "together": work.rows / whole,
        "share": batch / (batch + step),
    }


def main() -> None:
    """Measure every pile and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="a round")
    parser.add_argument("--data", type=Path, default=os.environ.get("HEADWATER_DATA"), help="the data sets")
    given = parser.parse_args()
    if given.data is None:
        parser.error("name the folder of the data sets with --data or HEADWATER_DATA")
    torch.set_num_threads(given.threads)
    found: dict[str, dict[str, float]] = {}
    for pile in PILES:
        with tempfile.TemporaryDirectory() as cache:  # so that nothing was decoded before
            found[pile.name] = measured(
                Work(pile, given.data, Path(cache), given.threads), given.rounds, given.steps
            )
        print(pile.name, found[pile.name], flush=True)
    rows = [
        [
            f"{pile.name}, `{pile.objective}`",
            *(
                f"{found[pile.name][column]:,.0f}"
                for column in ("decoding", "drawing", "stepping", "together")
            ),
            f"{100 * found[pile.name]['share']:.1f} %",
        ]
        for pile in PILES
    ]
    header = [
        "data",
        "decoded",
        "drawn",
        "learnt from, lying ready",
        "learnt from, drawn",
        "drawing's share of a step",
    ]
    text = (
        "# Decoding and drawing beside training\n\n`nano`, items a second of processor time, medians of "
        f"{given.rounds} rounds of {given.steps} steps. Each item is decoded once a run.\n\n{table(header, rows)}\n"
    )
    write_results("feeding", environment(threads=given.threads), text, found)


if __name__ == "__main__":
    main()
