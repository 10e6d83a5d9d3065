"""What a pre-training run learns from, whatever it is: texts, pictures or pairs, prepared and cut into sequences."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from headwater.data.batches import BatchStream
from headwater.data.problems import Problem
from headwater.data.sequencers import Sequencing
from headwater.models import Model
from headwater.run.choosing_objective import Pretext
from headwater.run.folder import RunFolder
from headwater.run.held_out import HeldOut
from headwater.run.probing import Probe
from headwater.run.settings import RunSettings
from headwater.training.plan import Learner

MOST_ROUNDS = 16
"""Passes over a text after which reading it again teaches nothing new (Muennighoff et al. 2023, arXiv:2305.16264)."""


class Matter(Protocol):
    """Prepared examples: how they become batches, and how a model of them begins."""

    @property
    def sequencer(self) -> Sequencing:
        """How an example becomes a sequence; it is shipped with the model."""
        ...

    def write(self, folder: RunFolder) -> None:
        """Leave in the run's folder what there is and what was left out."""
        ...

    def told(self, settings: RunSettings) -> str:
        """How much there is to learn from, and what was left out, in one line."""
        ...

    def derived(self, settings: RunSettings) -> RunSettings:
        """The settings with what follows from these examples, where the user says nothing."""
        ...

    def portion(self, settings: RunSettings) -> str:
        """What a step reads, in words."""
        ...

    def model(self, settings: RunSettings, pretext: Pretext) -> Model:
        """A fresh model of these examples."""
        ...

    def begin(self, model: Model, settings: RunSettings, check: Callable[[], None]) -> None:
        """What a fresh model is told before step 0."""
        ...

    def batches(self, settings: RunSettings, pretext: Pretext) -> BatchStream:
        """Training batches."""
        ...

    def judged(self, settings: RunSettings, pretext: Pretext) -> BatchStream | None:
        """Batches of what was held out; None when nothing was."""
        ...

    def probe(self, settings: RunSettings, device: torch.device) -> Probe | None:
        """What reads labels from the model's vectors as it learns, where the user has any."""
        ...

    def mean_length(self, settings: RunSettings) -> int:
        """Positions of a usual sequence."""
        ...

    def place(self, example: int) -> str:
        """Where an example to learn from stands in the user's files."""
        ...

    def sample(self) -> Tensor:
        """Some of what is learnt from, in the numbers that a model reads; SettingsError where it reads none."""
        ...

    def look(self, learner: Learner, held_out: HeldOut, reports: Path) -> None:
        """Draw what the pretext task makes of what was held out, where there is something to look at."""
        ...


def left_out_of(facts: Mapping[str, Any]) -> str:
    """What was left out of some data and why, and what else was noted; "" where nothing was."""
    left_out = facts["left_out"]
    notes = "".join(f"; {count:,} {fact}" for fact, count in left_out["notes"].items())
    if not left_out["by_reason"]:
        return notes
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out["by_reason"].items())
    first = next(iter(left_out["first"]), None)
    place = f" (first: {Problem(**first)})" if first else ""
    return f"; left out of {left_out['rows']:,} rows: {reasons}{place}{notes}"


def mixed_in_words(paths: Sequence[str], counts: Sequence[int], rounds: Sequence[float], what: str) -> str:
    """How often each of several sources comes round; too often is warned of."""
    told = ", ".join(
        f"{Path(path).name} ({count:,} {what}, each read {often:.3g} times)"
        for path, count, often in zip(paths, counts, rounds, strict=True)
    )
    most = max(rounds)
    warning = (
        f". {Path(paths[list(rounds).index(most)]).name} comes round so often that it will be learnt by heart; give it "
        "less weight in data.weights"
        if most > MOST_ROUNDS
        else ""
    )
    return f"\nmixed by weight: {told}{warning}"
