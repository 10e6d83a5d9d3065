"""Batches of pictures: pure functions of seed and number, views that belong to their picture."""

import numpy as np
import pytest
import torch

from headwater.data.picture_batches import PictureBatches, Views
from headwater.data.sequencers.patches import Patches
from headwater.errors import BadDataError
from headwater.randomness import Draws

PATCHES = Patches(rows=2, columns=2, side=4, channels=1, mean=(0.0,), deviation=(1.0,))


def pictures(count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(count, 8, 8, 1), dtype=np.uint8)


def test_every_picture_comes_once_an_epoch_and_any_batch_can_be_asked_for() -> None:
    batches = PictureBatches(pictures(), PATCHES, rows=5, seed=3)
    assert batches.batches_per_epoch(0) == 4
    first = [batches.batch(number) for number in range(8)]
    for epoch in (first[:4], first[4:]):
        assert sorted(torch.cat([batch.items for batch in epoch]).tolist()) == list(range(20))
    assert first[0].items.tolist() != first[4].items.tolist()
    again = PictureBatches(pictures(), PATCHES, rows=5, seed=3).batch(6)
    assert torch.equal(again.inputs, first[6].inputs)
    assert again.epoch == 1
    number = int(first[6].items[2])
    assert np.array_equal(PATCHES.pixels(first[6].inputs[2:3, 1:])[0], pictures()[number])


def test_a_view_is_a_function_of_its_picture_and_epoch_alone() -> None:
    views, pixels = Views(shift=0.25, mirrored=True), pictures(6)
    together = views.of(pixels, Draws(0, 1, list(range(6))))
    alone = views.of(pixels[4:5], Draws(0, 1, [4]))
    assert np.array_equal(together[4], alone[0])
    other = views.of(pixels, Draws(0, 2, list(range(6))))
    assert not np.array_equal(together, other)


def test_a_moved_picture_repeats_its_border() -> None:
    pixels = np.zeros((64, 8, 8, 1), np.uint8)
    pixels[:, 0, :, 0], pixels[:, 4, 4, 0] = 7, 200
    found = Views(shift=0.25).of(pixels, Draws(0, 0, list(range(64))))
    places = [tuple(np.argwhere(view[..., 0] == 200)[0]) for view in found]
    assert {down - 4 for down, _ in places} == {right - 4 for _, right in places} == {-2, -1, 0, 1, 2}
    for view, (down, _) in zip(found, places, strict=True):
        assert (view[: max(0, down - 3), :, 0] == 7).all()


def test_half_of_the_views_are_mirrored() -> None:
    pixels = np.tile(np.arange(8, dtype=np.uint8)[None, None, :, None], (400, 8, 1, 1))
    found = Views(mirrored=True).of(pixels, Draws(0, 0, list(range(400))))
    share = (found[:, 0, 0, 0] == 7).mean()
    assert 0.4 < share < 0.6
    assert set(found[:, 0, 0, 0].tolist()) == {0, 7}


def test_no_picture_is_an_error() -> None:
    with pytest.raises(BadDataError, match="no pictures"):
        PictureBatches(pictures(0), PATCHES, rows=2, seed=0)
