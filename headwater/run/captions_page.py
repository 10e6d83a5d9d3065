"""Ten texts that were written of what is seen or heard, each below its picture: ``reports/captions.html``."""

from collections.abc import Sequence
from pathlib import Path

from headwater.analysis.captioned import Captioned, write_captioned
from headwater.analysis.pictures import png
from headwater.data.cutting import cut_like
from headwater.data.examples import Example
from headwater.data.sequencers import Patches
from headwater.evaluation.metrics.written import Written

PAGE = "captions.html"


def write_captions(
    reports: Path, examples: Sequence[Example], written: Sequence[Written], patches: Patches
) -> Path:
    """The page of ``examples``, of each of which there is a text; StorageError where it cannot be written."""
    cut = cut_like(patches)
    rows = [
        Captioned(
            [] if example.pixels is None else [png(cut.shown(example.pixels))],
            [("file", text.source), ("reference", text.reference), ("written", text.written)],
        )
        for example, text in zip(examples, written, strict=True)
    ]
    write_captioned(reports / PAGE, "What the model writes of what it has not seen", rows)
    return reports / PAGE
