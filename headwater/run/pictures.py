"""Pictures as a pre-training run learns from them: a pool of squares of one size, cut into patches."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from headwater.analysis.pictures import draw_rows
from headwater.data.picture_batches import PictureBatches, Views
from headwater.data.picture_pool import Cut, PicturePool, build_picture_pool
from headwater.data.sequencers.patches import Patches
from headwater.errors import SettingsError
from headwater.models import Model, PatchSettings, build_model, picture_settings
from headwater.nn.embedding import PatchEmbedding
from headwater.nn.positions import grid_sinusoids
from headwater.objectives.colorization import Colorization, ColouringTask
from headwater.objectives.painting import Painting, PaintingTask
from headwater.run.choosing_objective import Pretext
from headwater.run.folder import RunFolder
from headwater.run.held_out import HeldOut
from headwater.run.matter import left_out_of
from headwater.run.probing import Probe
from headwater.run.settings import RunSettings
from headwater.run.shipping import Parent
from headwater.training.loop import Learner
from headwater.training.progress import Progress

ROWS = 128
"""Pictures a step."""
JUDGED_ROWS = 256
SHIFT = 0.125
"""How far a picture may be moved, as a share of its side."""
DRAWN = 8
"""Pictures in a report."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Squares to learn from and squares to judge on."""

    pool: PicturePool

    @classmethod
    def gather(
        cls, settings: RunSettings, parent: Parent | None, progress: Progress, check: Callable[[], None]
    ) -> "Pictures":
        """Build the pool, or find it in the cache; a run that goes on cuts pictures as its parent did."""
        data, patches = settings.data, parent.patches if parent else None
        pool = build_picture_pool(
            data.paths,
            cut=Cut(patches.height, patches.side) if patches else Cut(data.side, settings.model.patch),
            hold_out=data.hold_out,
            keep_duplicates=data.keep_duplicates,
            seed=settings.training.seed,
            cache=data.cache,
            progress=progress.report,
            check=check,
        )
        if patches is not None and patches.channels != pool.patches.channels:
            raise SettingsError(
                f"the pictures have {pool.patches.channels} channel(s), and {settings.start_from} reads "
                f"{patches.channels}; continue a run on pictures of the same kind"
            )
        return cls(pool if patches is None else replace(pool, patches=patches))

    @property
    def sequencer(self) -> Patches:
        """How a picture is cut."""
        return self.pool.patches

    def write(self, folder: RunFolder) -> None:
        """``data.json`` and the digests of the pictures."""
        folder.write_json("data.json", self.pool.facts)
        np.save(folder.path / "digests.npy", self.pool.digests)

    def told(self) -> str:
        """How many pictures, of which size."""
        facts, patches = self.pool.facts, self.pool.patches
        kind = "grey" if patches.channels == 1 else "colour"
        return (
            f"{facts['pictures']:,} pictures ({patches.width} × {patches.height}, {kind}) to learn from, "
            f"{facts['validation']['pictures']:,} to judge on{left_out_of(facts)}"
        )

    def derived(self, settings: RunSettings) -> RunSettings:
        """A picture is as long as it has patches, and [CLS]."""
        return settings.having(
            training={
                "length": self.pool.patches.length,
                "batch_rows": settings.training.batch_rows or ROWS,
            }
        )

    def portion(self, settings: RunSettings) -> str:
        """Pictures, and how they are cut."""
        patches = self.pool.patches
        return f"{settings.training.batch_rows:,} pictures of {patches.count} patches ({patches.side} × {patches.side})"

    def model(self, settings: RunSettings, pretext: Pretext) -> Model:
        """A Transformer in ViT's layout."""
        del pretext
        patches, mine = self.pool.patches, settings.model
        if mine.backbone != "transformer" or mine.layout is not None:
            raise SettingsError(
                f"model.{'layout' if mine.layout else 'backbone'} = '{mine.layout or mine.backbone}' reads no patches; "
                "leave it out for pictures"
            )
        shape = PatchSettings(
            rows=patches.rows, columns=patches.columns, side=patches.side, channels=patches.channels
        )
        backbone = picture_settings(mine.size, shape)
        width = mine.width or backbone.width
        dropout = mine.dropout or 0.0
        backbone = replace(
            backbone,
            width=width,
            depth=mine.depth or backbone.depth,
            num_heads=mine.num_heads or backbone.num_heads,
            feed_forward_width=mine.feed_forward_width or 4 * width,
            residual_dropout=dropout,
            embedding_dropout=dropout,
        )
        return build_model(backbone, seed=settings.training.seed)

    def begin(self, model: Model, settings: RunSettings, check: Callable[[], None]) -> None:
        """Positions that know which patches are neighbours."""
        del settings, check
        embedding = getattr(model.backbone, "embedding", None)
        assert isinstance(embedding, PatchEmbedding)
        table = embedding.positions.get_parameter("table.weight")
        patches = self.pool.patches
        with torch.no_grad():
            table[1:] = grid_sinusoids(patches.rows, patches.columns, table.shape[1])

    def batches(self, settings: RunSettings, pretext: Pretext) -> PictureBatches:
        """Batches of views."""
        del pretext
        training, colour = settings.training, self.pool.patches.channels > 1
        mirrored = colour if settings.data.mirrored is None else settings.data.mirrored
        return PictureBatches(
            self.pool.train,
            self.pool.patches,
            rows=max(1, (training.batch_rows or ROWS) // (training.micro_batches or 1)),
            seed=training.seed,
            views=Views(shift=SHIFT, mirrored=mirrored),
        )

    def judged(self, settings: RunSettings, pretext: Pretext) -> PictureBatches | None:
        """The pictures that were held out, as they are."""
        del settings, pretext
        if not len(self.pool.validation):
            return None
        return PictureBatches(self.pool.validation, self.pool.patches, rows=JUDGED_ROWS, seed=0)

    def probe(self, settings: RunSettings, device: torch.device) -> Probe | None:
        """There is no probe of pictures."""
        del device
        if settings.data.probe is not None:
            raise SettingsError("--probe reads labelled texts; leave it out for pictures")
        return None

    def mean_length(self, settings: RunSettings) -> int:
        """Patches and [CLS]."""
        del settings
        return self.pool.patches.length

    def look(self, learner: Learner, held_out: HeldOut, reports: Path) -> None:
        """What was shown, what was made of it, and what it was, one row each."""
        objective, task = learner.objective, held_out.tasks[0]
        match objective, task:
            case Painting(), PaintingTask():
                found = objective.pictures(learner.model, task.first(DRAWN))
            case Colorization(), ColouringTask():
                found = objective.pictures(learner.model, task.first(DRAWN))
            case _:
                return  # an answer is no picture
        draw_rows([self.pool.patches.pixels(patches) for patches in found], reports / f"{objective.name}.png")
