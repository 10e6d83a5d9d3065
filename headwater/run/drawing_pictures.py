"""New pictures of a run that has learnt to draw them."""

from pathlib import Path
from typing import Any

from headwater.analysis.pictures import draw_rows
from headwater.data.sequencers import CodedPatches
from headwater.errors import UsageError
from headwater.models.generation import Sampling
from headwater.objectives.image_generation import drawn_codes
from headwater.run.folder import RunFolder
from headwater.run.reading import Reader
from headwater.training.progress import Progress

A_LINE = 8
"""Pictures in a line of the sheet."""


def draw_pictures(
    folder: RunFolder, out: Path, count: int, sampling: Sampling, progress: Progress
) -> dict[str, Any]:
    """Draw ``count`` pictures into one file; UsageError for a run that has learnt something else."""
    reader, card = Reader.of_run(folder)
    patches = reader.sequencer
    if not isinstance(patches, CodedPatches):
        raise UsageError(
            f"{folder.path} was trained for {card.get('task')} and draws nothing; pre-train one that does: headwater "
            "pretrain PICTURES --objective image_generation"
        )
    if out.suffix.lower() not in (".png", ".jpg", ".webp"):
        raise UsageError(f"--out {out}: pictures are drawn into a .png, .jpg or .webp file")
    progress.stage("pictures", count)
    codes = drawn_codes(reader.model, patches, count, sampling, progress.update)
    pixels = patches.pixels(patches.decoded(codes))
    lines = [pixels[first : first + A_LINE] for first in range(0, count, A_LINE)]
    draw_rows(lines, out)
    return {"out": str(out), "pictures": count}
