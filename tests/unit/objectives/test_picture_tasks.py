"""Turned and coloured pictures: the targets, their inverses, the errors of guessing."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from headwater.data.sequencers.patches import Patches
from headwater.errors import SettingsError
from headwater.models import PatchSettings, build_model, picture_settings
from headwater.objectives import Colorization, GeometricTransform
from headwater.randomness import Draws
from headwater.sequence import Batch

PATCHES = Patches(rows=4, columns=4, side=2, channels=3, mean=(0.5, 0.4, 0.6), deviation=(0.25, 0.2, 0.3))
SETTINGS = picture_settings("nano", PatchSettings(rows=4, columns=4, side=2, channels=3))
COUNT = 400


@pytest.fixture(scope="module")
def model() -> Any:
    return build_model(SETTINGS, seed=0).eval()


def pixels(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(count, 8, 8, 3), dtype=np.uint8)


def batch(count: int = COUNT) -> Batch:
    return Batch(*PATCHES.sequences(pixels(count)), torch.arange(count))


def test_turned_pictures_are_those_of_numpy_and_turn_back(model: Any) -> None:
    objective = GeometricTransform(PATCHES, model.backbone, seed=0)
    task = objective.prepare(batch(), Draws(0, 0, np.arange(COUNT)))
    assert task.batch.labels is not None
    turns = task.batch.labels.tolist()
    assert [round(turns.count(turn) / COUNT, 1) for turn in range(4)] == pytest.approx([0.25] * 4, abs=0.07)
    shown = PATCHES.pixels(task.batch.inputs[:, 1:])
    for number in range(20):
        assert np.array_equal(shown[number], np.rot90(pixels()[number], turns[number]))
    back = objective.changed(task.batch.inputs[:, 1:], (4 - task.batch.labels) % 4)
    assert torch.equal(back, batch().inputs[:, 1:])


@torch.no_grad()
def test_guessing_a_turn_costs_ln_4(model: Any) -> None:
    objective = GeometricTransform(PATCHES, model.backbone, seed=0)
    (term,) = objective.loss(model, objective.prepare(batch(), Draws(0, 0, np.arange(COUNT))))
    assert term.right is not None
    assert term.total.item() / term.count == pytest.approx(math.log(4), rel=0.05)
    assert 0.15 < term.right.item() / term.count < 0.35


@torch.no_grad()
def test_grey_is_pillows_luminance_and_colour_is_what_is_missing(model: Any) -> None:
    objective = Colorization(PATCHES, model.backbone.width, seed=0)
    task = objective.prepare(batch(5), Draws(0, 0, np.arange(5)))
    grey = PATCHES.pixels(task.batch.inputs[:, 1:]).astype(int)
    light = pixels(5) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey - light[..., None]).max() <= 1
    painted, left = objective.loss(model, task)
    missing = (batch(5).inputs - task.batch.inputs)[:, 1:]
    assert left.total.item() / left.count == pytest.approx(missing.square().mean().item(), rel=1e-4)
    assert (left.weight, left.name) == (0.0, "colorization_in_grey")
    added = objective.exit(model.encode(task.batch)[:, 1:])
    assert painted.total.item() / painted.count == pytest.approx(
        (added - missing).square().mean().item(), rel=1e-4
    )
    shown, coloured, true = objective.pictures(model, task, 2)
    assert torch.equal(true, batch(2).inputs[:, 1:])
    torch.testing.assert_close(coloured - shown, added[:2])


def test_what_cannot_be_asked_of_pictures_is_said(model: Any) -> None:
    grey = Patches(rows=4, columns=4, side=2, channels=1, mean=(0.5,), deviation=(0.25,))
    with pytest.raises(SettingsError, match="these are grey"):
        Colorization(grey, 128)
    wide = Patches(rows=2, columns=4, side=2, channels=1, mean=(0.5,), deviation=(0.25,))
    with pytest.raises(SettingsError, match="turns squares, and these pictures are 8 × 4"):
        GeometricTransform(wide, model.backbone)
