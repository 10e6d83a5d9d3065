"""The online probe: how well a linear classifier reads the labels from the backbone's vectors, as it learns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.readers import read_labelled
from headwater.data.splits import split_of, text_digest
from headwater.data.tokenizer import Tokenizer
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
    tokenizer: Tokenizer
    length: int
    precision: str
    device: torch.device

    @classmethod
    def of(cls, settings: RunSettings, tokenizer: Tokenizer, device: torch.device) -> "Probe | None":
        """The probe that the settings ask for, if they ask for one."""
        if settings.data.probe is None:
            return None
        given = read_labelled(settings.data.probe, text=settings.data.text, label=settings.data.label)
        by_content = sorted(given.examples, key=lambda example: text_digest(example.text))[:ROWS]
        judged = np.array([split_of(text_digest(row.text), JUDGED_SHARE, "probe") for row in by_content])
        if len(given.labels) < 2 or not judged.any() or judged.all():
            raise BadDataError(
                f"{settings.data.probe} holds {len(given)} rows with {len(given.labels)} label(s); a probe needs at "
                "least two labels and a few rows of each"
            )
        return cls(
            EncodedRows.of(by_content, given.labels, tokenizer),
            judged,
            tokenizer,
            settings.training.length or 256,
            settings.machine.precision or "fp32",
            device,
        )

    def __call__(self, model: Model, *, check: Callable[[], None] | None = None) -> dict[str, float]:
        """The accuracy of a linear probe on the judged half."""
        reader = Reader(
            model=model,
            sequencer=self.tokenizer,
            length=self.length,
            precision=self.precision,
            device=self.device,
            check=check,
        )
        return {"probe": linear_probe(reader.vectors(self.rows.inputs), self.rows.labels, self.judged)}
