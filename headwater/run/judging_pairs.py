"""Judging a run of pairs on pairs that it has not seen: does each side find the other?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.kinds import SIDES
from headwater.data.media_tables import TABLE_KINDS
from headwater.data.pair_batches import Side
from headwater.data.pair_items import Items, PairItems, pair_items
from headwater.data.pair_rows import Pairing
from headwater.data.pairing import find_pairs
from headwater.data.picture_batches import Views
from headwater.data.problems import Problems
from headwater.data.sequencers import Patches, Sides, Tokenizer
from headwater.errors import BadDataError
from headwater.evaluation.metrics.pairs import PairReport, pair_report
from headwater.models import Bundle, Tower, TwoTowers, load_bundle
from headwater.models.bundle import CARD
from headwater.models.weights import read_json
from headwater.run.folder import RunFolder
from headwater.run.labelled import left_out
from headwater.run.pairs import TEXT_LENGTH, cuts_like, side_items
from headwater.run.starting import model_folder, sequencer_of
from headwater.training.precision import autocast, count_free_cores, use_threads
from headwater.training.progress import Progress

_AT_ONCE = 256
_TABLES = {f".{kind}" for kind in TABLE_KINDS}


@dataclass(frozen=True, slots=True)
class PairJudge:
    """A finished run of pairs."""

    folder: RunFolder
    towers: TwoTowers
    sides: Sides
    length: int

    @classmethod
    def of_run(cls, folder: RunFolder) -> "PairJudge | None":
        """The shipped model; None of a run that reads one kind of data, or answers both sides together."""
        path = model_folder(folder.path) / CARD
        card = read_json(path) if path.is_file() else {}
        if card and (card.get("sequencer") != "sides" or card.get("kind") != "pretrain"):
            return None  # known without reading its weights
        bundle: Bundle = load_bundle(model_folder(folder.path))
        if not isinstance(bundle.model.backbone, TwoTowers):
            return None
        use_threads(count_free_cores())
        sides = sequencer_of(bundle)
        assert isinstance(sides, Sides)
        return cls(folder, bundle.model.backbone.eval(), sides, int(bundle.card.get("length") or TEXT_LENGTH))

    def judge(
        self, test: Path, *, text: Sequence[str] | None, label: str | None, progress: Progress
    ) -> PairReport:
        """Recall of the pairs of a table or folder; with ``label``, a column, whatever has the same in it is right.

        Files that the table names are looked for beside it and where those of the run were.
        """
        data = self.folder.settings().data
        problems = Problems()
        pairing = Pairing.of(data.pair, text or data.text)
        pairing = Pairing(self.sides.kinds, pairing.columns)
        found = find_pairs(test, pairing, among=_media_of(data.paths), problems=problems)
        progress.say(f"{len(found.rows):,} pairs: {found.how}")
        items = pair_items(found, cuts_like(self.sides), problems)
        for line in left_out(problems):
            progress.say(line)
        if not len(items.pairs):
            raise BadDataError(f"{test}: no pair can be used; {problems.summary()}")
        items = items.paired()  # a text whose picture cannot be read has nothing to find
        progress.stage(f"embedding {len(items.first):,} and {len(items.second):,} things")
        first, second = (
            self._vectors(side, tower, way)
            for side, tower, way in zip(
                (items.first, items.second),
                (self.towers.first, self.towers.second),
                (self.sides.first, self.sides.second),
                strict=True,
            )
        )
        right = _right(items, label)
        told = f'whatever has the same "{label}"' if label else "the other side of the same pair"
        names = (SIDES[self.sides.kinds[0]], SIDES[self.sides.kinds[1]])
        return pair_report(first @ second.T, right, names, told=told)

    @torch.no_grad()
    def _vectors(self, items: Items, tower: Tower, way: Tokenizer | Patches) -> NDArray[np.float32]:
        side: Side = side_items(items.contents, way, self.length, Views())
        blocks = np.array_split(np.arange(len(items)), -(-len(items) // _AT_ONCE))
        with autocast(self.folder.precision, "cpu"):
            return np.concatenate([tower(*side.read(block, None)).float().numpy() for block in blocks])


def _right(items: PairItems, label: str | None) -> NDArray[np.bool_]:
    """Which first sides belong to which second sides: (N₁, N₂)."""
    first, second = items.pairs.T
    right = np.zeros((len(items.first), len(items.second)), np.bool_)
    if label is None:
        right[first, second] = True
        return right
    if label not in items.rows[0].cells:
        raise BadDataError(
            f'{items.rows[0].path}: there is no column "{label}"; the columns are {", ".join(items.rows[0].cells)}'
        )
    names = np.array([row.cells[label] for row in items.rows])
    for name in np.unique(names):  # a thing may stand under several labels
        own = names == name
        right[np.ix_(np.unique(first[own]), np.unique(second[own]))] = True
    return right


def _media_of(paths: Sequence[str]) -> list[str]:
    """What a run learnt from besides tables."""
    return [path for path in paths if Path(path).exists() and Path(path).suffix.lower() not in _TABLES]
