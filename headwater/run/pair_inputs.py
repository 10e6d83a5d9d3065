"""Rows that are pairs as two towers read them, and the batches that a run trains on or reads once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from headwater.data.assembly import Example as Tokens
from headwater.data.examples import Content, Thing, pairs_in
from headwater.data.pair_batches import PairBatches, PictureSide, Side, TextSide
from headwater.data.picture_batches import Views
from headwater.data.readers.pictures import Pixels
from headwater.data.sequencers import Patches, Sides, Tokenizer
from headwater.data.targets import Targets

AT_ONCE = 256
"""Pairs that are read at a time."""


@dataclass(frozen=True, slots=True)
class PairInput:
    """What each tower reads of a row: tokens, or an array (H, W, K)."""

    first: Tokens | Pixels
    second: Tokens | Pixels


def pair_inputs(contents: Sequence[Content], sides: Sides) -> list[PairInput]:
    """The texts among them as tokens."""
    pairs = pairs_in(contents)
    first = _read([pair.first for pair in pairs], sides.first)
    second = _read([pair.second for pair in pairs], sides.second)
    return [PairInput(*both) for both in zip(first, second, strict=True)]


def with_arrays(
    inputs: Sequence[PairInput], sides: Sides, change: Callable[[Pixels, Patches], Pixels]
) -> list[PairInput]:
    """The same rows with what is no text changed: (N, H, W, K) → (N, H, W, K)."""
    columns: list[Sequence[Tokens | Pixels]] = []
    for things, way in zip(_columns(inputs), (sides.first, sides.second), strict=True):
        text = isinstance(way, Tokenizer)
        columns.append(things if text else list(change(np.stack(cast("list[Pixels]", things)), way)))
    return [PairInput(*both) for both in zip(*columns, strict=True)]


def _columns(inputs: Sequence[PairInput]) -> tuple[list[Tokens | Pixels], list[Tokens | Pixels]]:
    return [row.first for row in inputs], [row.second for row in inputs]


def _read(things: Sequence[Thing], way: Tokenizer | Patches) -> Sequence[Tokens | Pixels]:
    if isinstance(way, Tokenizer):
        return way.encode_batch([str(thing) for thing in things])
    return cast(Sequence[Pixels], things)


def pair_batches(
    inputs: Sequence[PairInput],
    sides: Sides,
    length: int,
    *,
    rows: int = AT_ONCE,
    seed: int = 0,
    views: Callable[[Patches], Views] | None = None,
    targets: Targets | None = None,
) -> PairBatches:
    """Batches of these rows in the order of ``seed``, what is no text shown in other ``views`` each time."""

    def side(things: list[Tokens | Pixels], way: Tokenizer | Patches) -> Side:
        if isinstance(way, Tokenizer):
            return TextSide.encoded(cast("list[Tokens]", things), way, length)
        return PictureSide(cast("list[Pixels]", things), way, Views() if views is None else views(way))

    numbers: NDArray[np.int64] = np.arange(len(inputs))
    first, second = _columns(inputs)
    return PairBatches(
        side(first, sides.first),
        side(second, sides.second),
        np.stack((numbers, numbers), axis=1),
        rows=rows,
        seed=seed,
        shown=views is not None,
        targets=targets,
    )
