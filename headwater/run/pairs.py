"""Pairs as a pre-training run learns from them: two sides, each cut or tokenised in its own way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from headwater.analysis.captioned import Captioned, write_captioned
from headwater.analysis.pictures import draw_rows, png
from headwater.data.cutting import cut_like
from headwater.data.kinds import Learnt, Side
from headwater.data.likeness import sketches_of
from headwater.data.pair_batches import PairBatches, PictureSide, TextSide
from headwater.data.pair_batches import Side as SideItems
from headwater.data.pair_items import Cuts
from headwater.data.pair_pool import PairPool, PairReading, build_pair_pool, told_of
from headwater.data.pair_rows import Pairing
from headwater.data.picture_batches import Views
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, Sides, Tokenizer
from headwater.data.splits import Fingerprints
from headwater.errors import SettingsError
from headwater.models import Model, PatchSettings, TwoTowers, begin_with_grid, build_model
from headwater.models.tower_sizes import Shape, two_tower_settings
from headwater.objectives.mixed import parts_of
from headwater.run.choosing_objective import Pretext
from headwater.run.deriving import size_rule
from headwater.run.folder import RunFolder
from headwater.run.held_out import HeldOut
from headwater.run.matter import left_out_of
from headwater.run.probing import Probe
from headwater.run.resizing import asked_for, refuse_others_sizes
from headwater.run.seen import DIGESTS, LIKENESS, TEXTS
from headwater.run.settings import STACKED, RunSettings
from headwater.run.shipping import Parent
from headwater.run.views import views_of_side
from headwater.training.plan import Learner
from headwater.training.progress import Progress

ROWS = 128
"""Pairs a step."""
JUDGED_ROWS = 256
SLOWER = 3.0
"""How many times lower the rate is than for one stack: at 3e-3 two nano towers stay at guessing, at 1e-3 they learn."""
TEXT_LENGTH = 64
"""Tokens that are read of a text: captions are short."""
DRAWN = 8
FOUND = 3
"""Things drawn below each of these."""
LINES = ("its own", "found first", "second", "third")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs to learn from and to judge on."""

    pool: PairPool

    @classmethod
    def gather(
        cls,
        settings: RunSettings,
        modality: Learnt,
        parent: Parent | None,
        progress: Progress,
        check: Callable[[], None],
    ) -> "Pairs":
        """Build the pool, or find it in the cache; a run that goes on reads both sides as its parent did."""
        del modality
        data, sides = settings.data, parent.sides if parent else None
        pairing = Pairing.of(data.pair, data.text)
        if sides is not None:
            pairing = replace(pairing, sides=sides.kinds)

        def cuts(kinds: tuple[Side, Side]) -> Cuts:
            return cuts_of(kinds, settings, sides)

        return cls(
            build_pair_pool(
                data.paths,
                reading=PairReading(pairing, cuts, sides),
                hold_out=data.hold_out,
                vocabulary_size=settings.model.vocabulary_size,
                seed=settings.training.seed,
                cache=data.cache,
                progress=progress.report,
                check=check,
            )
        )

    @property
    def sequencer(self) -> Sides:
        """How both sides are read."""
        return self.pool.sides

    def write(self, folder: RunFolder) -> None:
        """``data.json``, and what tells later whether a text, a picture, a recording or a clip was among these."""
        folder.write_data(self.pool.facts)
        np.save(folder.path / DIGESTS, self.pool.digests)
        sides = self.pool.facts["sides"]
        for side, items, numbers in zip(sides, self.pool.items, self.pool.train.T, strict=True):
            learnt = np.unique(numbers)
            if side == "text":
                known = Fingerprints()
                known.add_many(str(items[number]) for number in learnt.tolist())
                known.save(folder.path / TEXTS)
            elif side == "image":
                np.save(folder.path / LIKENESS, sketches_of(cast(Pixels, items)[learnt]))

    def told(self, settings: RunSettings) -> str:
        """How many, of what."""
        del settings
        facts = self.pool.facts
        return (
            f"{facts['items']:,} pairs to learn from, {facts['validation']['items']:,} to judge on: {facts['how']}; "
            f"{told_of(facts)}{left_out_of(facts)}"
        )

    def derived(self, settings: RunSettings) -> RunSettings:
        """Texts are as long as captions are; a picture is as long as it has patches; a third of the usual rate."""
        patches = next(
            side for side in (self.pool.sides.first, self.pool.sides.second) if isinstance(side, Patches)
        )
        usual = TEXT_LENGTH if self.pool.sides.text else patches.length
        return settings.having(
            training={
                "length": settings.training.length or usual,
                "batch_rows": settings.training.batch_rows or ROWS,
                "learning_rate": settings.training.learning_rate
                or size_rule(settings.model.size).learning_rate / SLOWER,
            }
        )

    def portion(self, settings: RunSettings) -> str:
        """Pairs."""
        return f"{settings.training.batch_rows:,} pairs"

    def model(self, settings: RunSettings, pretext: Pretext) -> Model:
        """Two towers."""
        del pretext
        chosen = settings.model
        refuse_overrides(settings)
        sides, length = self.pool.sides, settings.training.length
        assert length is not None
        towers = two_tower_settings(
            chosen.size, shape_of(sides.first), shape_of(sides.second), text_length=length
        )
        return build_model(towers, seed=settings.training.seed)

    def begin(self, model: Model, settings: RunSettings, check: Callable[[], None]) -> None:
        """Positions that know which patches are neighbours."""
        del settings, check
        begin_with_grid(model)

    def batches(self, settings: RunSettings, pretext: Pretext) -> PairBatches:
        """Batches of pairs, pictures shown in other views each time."""
        del pretext
        training = settings.training
        return PairBatches(
            *self._sides(settings),
            self.pool.train,
            rows=max(1, (training.batch_rows or ROWS) // (training.micro_batches or 1)),
            seed=training.seed,
            shown=True,
        )

    def judged(self, settings: RunSettings, pretext: Pretext) -> PairBatches | None:
        """The pairs that were held out, as they are."""
        del pretext
        if not len(self.pool.validation):
            return None
        return PairBatches(
            *self._sides(settings), self.pool.validation, rows=JUDGED_ROWS, seed=0, shown=False
        )

    def probe(self, settings: RunSettings, device: torch.device) -> Probe | None:
        """There is no probe of pairs."""
        del device
        if settings.data.probe is not None:
            raise SettingsError(
                "a probe reads the vectors of one kind of data, and pairs are two; leave --probe out for pairs"
            )
        return None

    def mean_length(self, settings: RunSettings) -> int:
        """Positions of a usual side: the mean of both."""
        return sum(lengths_of(self.pool.sides, settings.training.length or TEXT_LENGTH)) // 2

    def place(self, example: int) -> str:
        """Where a pair stands."""
        return self.pool.place(example)

    def sample(self) -> Tensor:
        """No pretext task of pairs begins with patches."""
        raise SettingsError("pairs are no pictures; choose an --objective for pairs")

    def look(self, learner: Learner, held_out: HeldOut, reports: Path) -> None:
        """Draw pictures, and below each those that the other side of its pair finds: the best is the picture itself.

        A text that asked stands under them; where no font can draw it, on a page beside the picture.
        """
        if not held_out.tasks or not isinstance(learner.model.backbone, TwoTowers):
            return
        place = 0 if isinstance(self.pool.sides.first, Patches) else 1
        patches = (self.pool.sides.first, self.pool.sides.second)[place]
        assert isinstance(patches, Patches)
        batch = held_out.tasks[0].batch
        with torch.no_grad():
            vectors = learner.model.backbone.both(batch)
        assert batch.labels is not None
        items, rows = np.unique(batch.labels[:, place].cpu().numpy(), return_index=True)
        asked, things = (vectors[side][torch.from_numpy(rows)] for side in (1 - place, place))
        found = (asked[:DRAWN] @ things.T).topk(min(FOUND, len(things)), dim=1).indices.cpu()
        shown = patches.shown(cast(Pixels, self.pool.items[place])[items])
        lines = [shown[: len(found)], *(shown[line.numpy()] for line in found.T)]
        objective, _ = next(parts_of(learner.objective, held_out.tasks[0]))
        others = self.pool.items[1 - place]
        numbers = batch.labels[:, 1 - place].cpu()[torch.from_numpy(rows)][:DRAWN].tolist()
        texts = [str(others[number]) for number in numbers] if self.pool.sides.text else []
        path = reports / f"{objective.name}.png"
        if not draw_rows(lines, path, LINES, texts):
            write_captioned(
                path.with_suffix(".html"),
                objective.name,
                list(map(_captioned, texts, zip(*lines, strict=True))),
            )

    def _sides(self, settings: RunSettings) -> tuple[SideItems, SideItems]:
        first, second = (
            _side(items, way, settings)
            for items, way in zip(
                self.pool.items, (self.pool.sides.first, self.pool.sides.second), strict=True
            )
        )
        return first, second


def _captioned(text: str, pictures: Sequence[Pixels]) -> Captioned:
    told = f"{', '.join(LINES[: len(pictures)])}, by"
    return Captioned([png(pixels) for pixels in pictures], [(told, text)])


def cuts_of(kinds: tuple[Side, Side], settings: RunSettings, known: Sides | None) -> Cuts:
    """How both sides are cut: as a model has read them before, or as the user says and the data suggest.

    Raises SettingsError for sizes that neither side has, or that a model brings.
    """
    refuse_others_sizes(settings, *kinds)
    if known is None:
        first, second = (None if side == "text" else asked_for(side, settings) for side in kinds)
        return first, second
    data = settings.data
    asked = (data.side, data.seconds, data.frames, settings.model.patch)
    if data.full_volume not in (None, *known.volumes) or any(value is not None for value in asked):
        raise SettingsError(
            "a run of pairs goes on in the sizes and at the volume that its parent has; leave data.side, "
            "data.seconds, data.frames, data.full_volume and model.patch out"
        )
    return cuts_like(known)


def lengths_of(sides: Sides, text_length: int) -> tuple[int, int]:
    """Positions of each side."""
    first, second = (
        side.length if isinstance(side, Patches) else text_length for side in (sides.first, sides.second)
    )
    return first, second


def cuts_like(sides: Sides) -> Cuts:
    """How a model has cut both sides of a pair before."""
    first, second = (
        None if isinstance(side, Tokenizer) else cut_like(side) for side in (sides.first, sides.second)
    )
    return first, second


def side_items(contents: object, way: Tokenizer | Patches, length: int, views: Views) -> SideItems:
    """The things of a side as batches are made of them."""
    if isinstance(way, Tokenizer):
        return TextSide.of(cast("list[str]", contents), way, length)
    return PictureSide(cast(Pixels, contents), way, views)


def _side(contents: object, way: Tokenizer | Patches, settings: RunSettings) -> SideItems:
    views = Views() if isinstance(way, Tokenizer) else views_of_side(settings.training, way)
    return side_items(contents, way, settings.training.length or TEXT_LENGTH, views)


def shape_of(way: Tokenizer | Patches) -> Shape:
    """What a tower reads of such a side."""
    if isinstance(way, Tokenizer):
        return way.size
    return PatchSettings(
        rows=way.rows, columns=way.columns, side=way.side, channels=way.channels, slices=way.slices
    )


def refuse_overrides(settings: RunSettings) -> None:
    """What one stack may be told and two towers are not."""
    model = settings.model
    given = {
        "backbone": model.backbone != "transformer",
        **{
            name: getattr(model, name) is not None
            for name in ("layout", "depth", "width", "num_heads", "feed_forward_width", "dropout", *STACKED)
        },
    }
    if said := [f"model.{name}" for name, there in given.items() if there]:
        raise SettingsError(f"two towers are as large as --size says; leave out {', '.join(said)}")
