"""How pictures are shown in training: moved and mirrored, unless that harms what can be read off them.

Where a figure always stands in one place, or a label speaks of left and right, a changed picture is another picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from headwater.data.picture_batches import Views
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches
from headwater.evaluation.probes import linear_hits
from headwater.randomness import Draws
from headwater.run.beginning import features_of
from headwater.run.fitting import EncodedRows, Input, views_of
from headwater.run.reading import Reader
from headwater.run.settings import TrainingSettings

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
            f"pictures are not shown {self.change}: it costs a linear reader {100 * self.lost:.1f} ± "
            f"{196 * self.error:.1f} points on the training rows; --set {setting} shows them so all the same"
        )


def harms(reader: Reader, rows: EncodedRows, training: TrainingSettings) -> list[Harm]:
    """The changes that harm, of those that training would make and the user did not ask for.

    Five times, a linear classifier of what reaches the head learns from four fifths of the rows, with and without a
    changed picture of each, and is judged on the last fifth as it is.
    """
    if not isinstance(patches := reader.sequencer, Patches) or rows.labels.ndim != 1:
        return []
    views = views_of(training, patches)
    some = rows.some(MOST_ROWS)
    changes: dict[str, Sequence[Input]] = {}
    if training.moved is None and views.shift:
        moving = replace(views, mirrored=False)
        changes["moved"] = list(_changed(some, moving))
    if training.mirrored is None and views.mirrored:
        changes["mirrored"] = [
            np.ascontiguousarray(cast(Pixels, picture)[:, ::-1]) for picture in some.inputs
        ]
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


def settled(training: TrainingSettings, patches: Patches, found: Sequence[Harm]) -> TrainingSettings:
    """The settings without the changes that harm; nothing is left open."""
    changes, usual = {harm.change for harm in found}, views_of(training, patches)
    return replace(
        training,
        moved=0.0 if "moved" in changes else usual.shift,
        mirrored=usual.mirrored and "mirrored" not in changes,
    )


def _changed(rows: EncodedRows, views: Views) -> Pixels:
    pixels = np.stack([cast(Pixels, picture) for picture in rows.inputs])
    return views.of(pixels, Draws(0, 0, np.arange(len(pixels))))
