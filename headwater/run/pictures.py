"""Pictures and recordings as a pre-training run learns from them: a pool of arrays of one size, cut into patches."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headwater.analysis.pictures import draw_moving, draw_rows
from headwater.data.cutting import cut_like, cut_of
from headwater.data.kinds import Learnt
from headwater.data.likeness import sketches_of
from headwater.data.media_pool import MediaPool, build_media_pool
from headwater.data.mixture import Turns
from headwater.data.picture_batches import PictureBatches
from headwater.data.sequencers import CodedPatches, Patches
from headwater.errors import BadDataError, SettingsError
from headwater.models import Model, begin_with_grid, build_model
from headwater.objectives.mixed import parts_of
from headwater.objectives.picture_objective import PictureObjective
from headwater.run.choosing_model import chosen_picture_settings, chosen_settings
from headwater.run.choosing_objective import Pretext
from headwater.run.folder import RunFolder
from headwater.run.held_out import HeldOut
from headwater.run.matter import left_out_of, mixed_in_words
from headwater.run.probing import Probe
from headwater.run.resizing import asked_for, resized_patches
from headwater.run.seen import DIGESTS, LIKENESS
from headwater.run.settings import RunSettings
from headwater.run.shipping import Parent
from headwater.run.views import views_of
from headwater.training.plan import Learner
from headwater.training.progress import Progress

ROWS = 128
"""Pictures a step."""
JUDGED_ROWS = 256
DRAWN = 8
"""Pictures in a report."""
SAMPLED = 50_000
"""Patches that show what patches there are."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Squares, or spectrograms, to learn from and to judge on."""

    pool: MediaPool

    @classmethod
    def gather(
        cls,
        settings: RunSettings,
        modality: Learnt,
        parent: Parent | None,
        progress: Progress,
        check: Callable[[], None],
    ) -> "Pictures":
        """Build the pool, or find it in the cache; a run that goes on keeps its parent's patches."""
        assert modality != "pairs"
        data, patches = settings.data, resized_patches(parent.patches, settings) if parent else None
        pool = build_media_pool(
            data.paths,
            cut=cut_like(patches) if patches else asked_for(modality, settings),
            hold_out=data.hold_out,
            keep_duplicates=data.keep_duplicates,
            seed=settings.training.seed,
            cache=data.cache,
            progress=progress.report,
            check=check,
        )
        if patches is None and settings.objective.name == "image_generation":
            patches = CodedPatches.learnt(pool.patches, _sampled(pool), seed=settings.training.seed)
        return cls(pool if patches is None else replace(pool, patches=patches))

    @property
    def sequencer(self) -> Patches:
        """How a picture is cut."""
        return self.pool.patches

    def write(self, folder: RunFolder) -> None:
        """``data.json``, and what tells later whether a picture was among these."""
        folder.write_data(self.pool.facts)
        np.save(folder.path / DIGESTS, self.pool.digests)
        if self.pool.facts["modality"] == "image":
            np.save(folder.path / LIKENESS, sketches_of(self.pool.train))

    def told(self, settings: RunSettings) -> str:
        """How many, of which size."""
        facts, pieces = self.pool.facts, "" if self.pool.patches.mel is None else "pieces of "
        return (
            f"{facts['items']:,} {pieces}{facts['what']} ({cut_of(facts['cut']).told()}) to learn from, "
            f"{facts['validation']['items']:,} to judge on{left_out_of(facts)}"
            f"{self._rounds(settings)}"
        )

    def derived(self, settings: RunSettings) -> RunSettings:
        """A picture is as long as it has patches, and [CLS]; where flips are asked about, no view is one already."""
        given = settings.training.mirrored
        flips = settings.objective.transforms != "rotations"
        if flips and given:
            raise SettingsError(
                "training.mirrored = true shows half of the pictures flipped, and "
                f"objective.transforms = '{settings.objective.transforms}' asks which were; leave one of them out"
            )
        return settings.having(
            training={
                "length": self.pool.patches.length,
                "batch_rows": settings.training.batch_rows or ROWS,
                "mirrored": False if flips else given,
            }
        )

    def portion(self, settings: RunSettings) -> str:
        """Pictures, and how they are cut."""
        patches, what = self.pool.patches, self.pool.facts["what"]
        side = f"{patches.side} × {patches.side}"
        return f"{settings.training.batch_rows:,} {what} of {patches.count} patches ({side})"

    def model(self, settings: RunSettings, pretext: Pretext) -> Model:
        """A Transformer in ViT's layout; a decoder of codes where these are to be drawn."""
        if settings.model.backbone != "transformer":
            raise SettingsError(
                f"model.backbone = '{settings.model.backbone}' does not pre-train on pictures; leave it out"
            )
        patches, seed = self.pool.patches, settings.training.seed
        if isinstance(patches, CodedPatches):
            decoder = chosen_settings(
                settings.model, patches.vocabulary_size, needs=pretext.needs, length=patches.length
            )
            return build_model(replace(decoder, pad_token=None), head=pretext.head, seed=seed)
        return build_model(chosen_picture_settings(settings.model, patches), seed=seed)

    def begin(self, model: Model, settings: RunSettings, check: Callable[[], None]) -> None:
        """Positions that know which patches are neighbours."""
        del settings, check
        begin_with_grid(model)

    def batches(self, settings: RunSettings, pretext: Pretext) -> PictureBatches:
        """Batches of views."""
        del pretext
        training = settings.training
        if isinstance(self.pool.patches, CodedPatches):  # what moves in from outside would be drawn as well
            training = replace(training, moved=0.0)
        return PictureBatches(
            self.pool.train,
            self.pool.patches,
            rows=max(1, (training.batch_rows or ROWS) // (training.micro_batches or 1)),
            seed=training.seed,
            views=views_of(training, self.pool.patches),
            turns=self._turns(settings),
        )

    @property
    def _counts(self) -> list[int]:
        """How many come from each path; those of a path are neighbours in the pool."""
        return self.pool.facts["items_of_paths"]

    def _turns(self, settings: RunSettings) -> Turns | None:
        """The order of sources that are weighed."""
        weights = settings.data.weights
        return None if weights is None or len(weights) == 1 else Turns(self._counts, weights)

    def _rounds(self, settings: RunSettings) -> str:
        """How often each source comes round, where they are weighed."""
        turns, training = self._turns(settings), settings.training
        if turns is None:
            return ""
        assert training.steps is not None
        counts, paths = self._counts, settings.data.paths
        rounds = turns.rounds(training.steps * (training.batch_rows or ROWS), [1.0] * len(counts))
        return mixed_in_words(paths, counts, rounds, self.pool.facts["what"])

    def judged(self, settings: RunSettings, pretext: Pretext) -> PictureBatches | None:
        """The pictures that were held out, as they are."""
        del pretext
        if not len(self.pool.validation):
            if settings.data.probe is not None:
                what = self.pool.facts["what"]
                raise BadDataError(
                    f"the probe on {settings.data.probe} goes with evaluations on held-out {what}, and of "
                    f"{len(self.pool.train):,} none was held out; give more {what}, or leave --probe out"
                )
            return None
        return PictureBatches(self.pool.validation, self.pool.patches, rows=JUDGED_ROWS, seed=0)

    def probe(self, settings: RunSettings, device: torch.device) -> Probe | None:
        """A linear probe on labelled pictures, recordings or clips."""
        return Probe.of(settings, self.pool.patches, device)

    def mean_length(self, settings: RunSettings) -> int:
        """Patches and [CLS]."""
        del settings
        return self.pool.patches.length

    def look(self, learner: Learner, held_out: HeldOut, reports: Path) -> None:
        """Draw the lines of pictures that the pretext task has, one below the other."""
        patches = self.pool.patches
        for objective, task in parts_of(learner.objective, held_out.tasks[0]):
            if not isinstance(objective, PictureObjective):
                continue
            lines = [patches.pixels(line) for line in objective.pictures(learner.model, task, DRAWN)]
            draw_rows(
                [patches.shown(line) for line in lines], reports / f"{objective.name}.png", objective.lines
            )
            if patches.film is not None:
                moving = [patches.moving_pictures(line) for line in lines]
                draw_moving(moving, reports / f"{objective.name}.gif", objective.lines)

    def place(self, example: int) -> str:
        """Where a picture, a recording or a clip stands."""
        return self.pool.place(example)

    def sample(self) -> Tensor:
        """Patches of some pictures to learn from: (B, N, P)."""
        return _sampled(self.pool)


def _sampled(pool: MediaPool) -> Tensor:
    step = max(1, len(pool.train) * pool.patches.count // SAMPLED)
    pixels = np.array(pool.train[::step])  # in memory: the file cannot be written to
    return pool.patches.patched(pixels)
