"""The online probe: how well a linear classifier reads the labels from the backbone's vectors, as it learns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.cutting import cut_like
from headwater.data.examples import Example
from headwater.data.labelled_media import read_labelled_media
from headwater.data.readers import read_labelled
from headwater.data.sequencers import Patches, Sequencer
from headwater.data.splits import split_of, text_digest
from headwater.errors import BadDataError
from headwater.evaluation.probes import linear_probe
from headwater.models import Model
from headwater.run.fitting import EncodedRows
from headwater.run.reading import Reader
from headwater.run.settings import RunSettings

ROWS = 800
"""Rows that are embedded each time: enough for two digits, cheap enough to do ten times in a run."""
JUDGED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Probe:
    """Labelled rows, half to learn from and half to judge on, divided by content."""

    rows: EncodedRows
    judged: NDArray[np.bool_]
    sequencer: Sequencer
    length: int
    precision: str
    device: torch.device

    @classmethod
    def of(cls, settings: RunSettings, sequencer: Sequencer, device: torch.device) -> "Probe | None":
        """The probe that the settings ask for, if they ask for one: of texts, or of what is cut into such patches."""
        data = settings.data
        if data.probe is None:
            return None
        if isinstance(sequencer, Patches):
            given = read_labelled_media(data.probe, label=data.label, cut=cut_like(sequencer))
        else:
            given = read_labelled(data.probe, text=data.text, label=data.label)
        by_content = sorted(given.examples, key=_digest_of)[:ROWS]
        judged = np.array([split_of(_digest_of(row), JUDGED_SHARE, "probe") for row in by_content])
        if len(given.labels) < 2 or not judged.any() or judged.all():
            raise BadDataError(
                f"{settings.data.probe} holds {len(given)} rows with {len(given.labels)} label(s); a probe needs at "
                "least two labels and a few rows of each"
            )
        return cls(
            EncodedRows.of(by_content, given.labels, sequencer),
            judged,
            sequencer,
            settings.training.length or 256,
            settings.machine.precision or "fp32",
            device,
        )

    def __call__(self, model: Model, *, check: Callable[[], None] | None = None) -> dict[str, float]:
        """The accuracy of a linear probe on the judged half."""
        reader = Reader(
            model=model,
            sequencer=self.sequencer,
            length=self.length,
            precision=self.precision,
            device=self.device,
            check=check,
        )
        return {"probe": linear_probe(reader.vectors(self.rows.inputs), self.rows.labels, self.judged)}


def _digest_of(row: Example) -> int:
    return text_digest(row.text) if row.digest is None else row.digest
