"""Turns and flips: the eight symmetries of a square, each undone by one of them."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from headwater.data.sequencers.patches import Patches
from headwater.errors import SettingsError
from headwater.models import PatchSettings, build_model, picture_settings
from headwater.objectives.geometric_transform import SYMMETRIES, GeometricTransform, inverse
from headwater.randomness import Draws
from headwater.run.settings import ObjectiveSettings
from headwater.sequence import Batch

COUNT = 200


def patches(rows: int = 4, columns: int = 4) -> Patches:
    return Patches(rows=rows, columns=columns, side=2, channels=3, mean=(0.5,) * 3, deviation=(0.25,) * 3)


def model(rows: int = 4, columns: int = 4) -> Any:
    return build_model(
        picture_settings("nano", PatchSettings(rows=rows, columns=columns, side=2, channels=3)), seed=0
    )


def batch(cut: Patches) -> Batch:
    shape = (COUNT, cut.height, cut.width, 3)
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    return Batch(*cut.sequences(pixels), torch.arange(COUNT))


def prepared(objective: GeometricTransform, given: Batch) -> Any:
    return objective.prepare(given, Draws(0, 0, given.items.numpy()))


@pytest.mark.parametrize("transforms", ["rotations", "flips", "both"])
@torch.no_grad()
def test_what_was_done_is_asked_and_can_be_undone(transforms: Any) -> None:
    one = model()
    objective = GeometricTransform(patches(), one.backbone, transforms=transforms)
    given = batch(patches())
    task = prepared(objective, given)
    count = len(SYMMETRIES[transforms])
    assert set(task.batch.labels.tolist()) == set(range(count))
    symmetries = objective.symmetries[task.batch.labels]
    back = objective.changed(task.batch.inputs[:, 1:], inverse(symmetries))
    assert torch.equal(back, given.inputs[:, 1:])
    *_, shown = objective.pictures(one, task, 6)
    assert torch.equal(shown, given.inputs[:6, 1:])
    (term,) = objective.loss(one.eval(), task)
    assert term.total.item() / term.count == pytest.approx(math.log(count), rel=0.1)


def test_the_eight_are_all_that_a_square_has_and_differ() -> None:
    objective = GeometricTransform(patches(), model().backbone, transforms="both")
    one = batch(patches()).inputs[:1, 1:].expand(8, -1, -1)
    found = pictures_of(objective, one, torch.arange(8))
    square = found[0]
    expected = [np.rot90(side, turns) for side in (square, square[:, ::-1]) for turns in range(4)]
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))
    assert len({picture.tobytes() for picture in found}) == 8


def test_flips_are_left_for_right_and_top_for_bottom_and_of_any_rectangle() -> None:
    wide = patches(2, 6)
    objective = GeometricTransform(wide, model(2, 6).backbone, transforms="flips")
    one = batch(wide).inputs[:1, 1:].expand(4, -1, -1)
    same, mirrored, upside_down, both = pictures_of(objective, one, objective.symmetries)
    assert np.array_equal(mirrored, same[:, ::-1])
    assert np.array_equal(upside_down, same[::-1])
    assert np.array_equal(both, same[::-1, ::-1])
    with pytest.raises(SettingsError, match="transforms=flips"):
        GeometricTransform(wide, model(2, 6).backbone, transforms="both")


def test_only_this_task_takes_the_setting() -> None:
    assert ObjectiveSettings(name="geometric_transform", transforms="both").transforms == "both"
    with pytest.raises(SettingsError, match="of geometric_transform"):
        ObjectiveSettings(name="jigsaw", transforms="flips")


def pictures_of(objective: GeometricTransform, one: torch.Tensor, symmetries: torch.Tensor) -> np.ndarray:
    return objective.patches.pixels(objective.changed(one, symmetries))
