"""How pictures are shown in training: moved and mirrored, unless that harms what can be read off them.

Where a figure always stands in one place, or a label speaks of left and right, a changed picture is another picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np

from headwater.data.picture_batches import Views
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, Sides, Tokenizer
from headwater.evaluation.probes import linear_hits
from headwater.randomness import Draws
from headwater.run.beginning import features_of
from headwater.run.fitting import EncodedRows, Input
from headwater.run.pair_inputs import PairInput, with_arrays
from headwater.run.reading import Reader
from headwater.run.settings import TrainingSettings
from headwater.run.views import views_of, views_of_side

MOST_ROWS = 1_000
"""Rows that are looked at."""
LEAST_HARM = 0.03
"""Share of the rows that a change has to cost,"""
CERTAIN = 3.0
"""and how many standard errors."""


@dataclass(frozen=True, slots=True)
class Harm:
    """What a linear reader loses on pictures as they are when it learns from changed ones too."""

    change: str  # "moved" or "mirrored"
    lost: float  # share of the rows
    error: float  # the standard error of that

    @property
    def grave(self) -> bool:
        """Too much, and too certain, to be taken for chance."""
        return self.lost >= max(LEAST_HARM, CERTAIN * self.error)

    def __str__(self) -> str:
        setting = "training.moved=0.125" if self.change == "moved" else "training.mirrored=true"
        return (
            f"nothing is shown {self.change} in training: it costs a linear reader {100 * self.lost:.1f} ± "
            f"{196 * self.error:.1f} points on the training rows; --set {setting} shows it so all the same"
        )


def harms(reader: Reader, rows: EncodedRows, training: TrainingSettings) -> list[Harm]:
    """The changes that harm, of those that training would make and the user did not ask for.

    Five times, a linear classifier of what reaches the head learns from four fifths of the rows, with and without a
    changed picture of each, and is judged on the last fifth as it is.
    """
    sequencer = reader.sequencer
    if isinstance(sequencer, Tokenizer) or rows.labels.ndim != 1:
        return []
    usual, some = _usual(training, sequencer), rows.some(MOST_ROWS)
    changes: dict[str, Sequence[Input]] = {}
    if training.moved is None and usual.shift:
        changes["moved"] = _changed(some.inputs, sequencer, partial(_moved, training))
    if training.mirrored is None and usual.mirrored:
        changes["mirrored"] = _changed(some.inputs, sequencer, _mirrored)
    vectors = features_of(reader, some.inputs) if changes else None
    if vectors is None:
        return []
    plain = linear_hits(vectors, some.labels)
    found: list[Harm] = []
    for change, pictures in changes.items():
        more = features_of(reader, pictures)
        assert more is not None
        lost = plain.astype(np.float64) - linear_hits(vectors, some.labels, more)
        found.append(Harm(change, float(lost.mean()), float(lost.std() / np.sqrt(len(lost)))))
    return [harm for harm in found if harm.grave]


def settled(
    training: TrainingSettings, sequencer: Patches | Sides, found: Sequence[Harm]
) -> TrainingSettings:
    """The settings without the changes that harm; nothing is left open."""
    changes, usual = {harm.change for harm in found}, _usual(training, sequencer)
    return replace(
        training,
        moved=0.0 if "moved" in changes else usual.shift,
        mirrored=usual.mirrored and "mirrored" not in changes,
    )


def _usual(training: TrainingSettings, sequencer: Patches | Sides) -> Views:
    if isinstance(sequencer, Patches):
        return views_of(training, sequencer)
    seen = next(way for way in (sequencer.first, sequencer.second) if isinstance(way, Patches))
    return views_of_side(training, seen)


def _changed(
    inputs: Sequence[Input], sequencer: Patches | Sides, change: Callable[[Pixels, Patches], Pixels]
) -> Sequence[Input]:
    """The same rows with all of their pictures changed."""
    if isinstance(sequencer, Patches):
        return list(change(np.stack(cast(Sequence[Pixels], inputs)), sequencer))
    return with_arrays(cast(Sequence[PairInput], inputs), sequencer, change)


def _moved(training: TrainingSettings, pixels: Pixels, patches: Patches) -> Pixels:
    views = replace(views_of(training, patches), mirrored=False)
    return views.of(pixels, Draws(0, 0, np.arange(len(pixels))))


def _mirrored(pixels: Pixels, patches: Patches) -> Pixels:
    del patches
    return np.ascontiguousarray(pixels[:, :, ::-1])
