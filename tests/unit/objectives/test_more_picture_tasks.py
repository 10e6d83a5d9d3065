"""Tiles, classes of patches, sharpness, views and teachers: right targets, and guesses that cost what they must."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from headwater.data.sequencers.codes import typical
from headwater.data.sequencers.patches import Patches
from headwater.models import PatchSettings, build_model, picture_settings
from headwater.objectives.jigsaw import Jigsaw, tiles_a_side
from headwater.objectives.masked_patch_classes import MaskedPatchClasses
from headwater.objectives.picture_distillation import PictureDistillation
from headwater.objectives.picture_objective import PictureObjective, nearest
from headwater.objectives.super_resolution import SuperResolution
from headwater.objectives.view_contrast import Changes, ViewContrast
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

PATCHES = Patches(rows=8, columns=8, side=2, channels=3, mean=(0.5,) * 3, deviation=(0.25,) * 3)
SETTINGS = picture_settings("nano", PatchSettings(rows=8, columns=8, side=2, channels=3))
COUNT = 100


@pytest.fixture(scope="module")
def model() -> Any:
    return build_model(SETTINGS, seed=0).eval()


def pixels(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(count, 16, 16, 3), dtype=np.uint8)


def batch(count: int = COUNT, given: np.ndarray | None = None) -> Batch:
    return Batch(*PATCHES.sequences(pixels(count) if given is None else given), torch.arange(count))


def prepared(objective: PictureObjective, given: Batch) -> Any:
    return objective.prepare(given, Draws(0, 0, given.items.numpy()))


@pytest.mark.parametrize(
    ("patches", "tiles"), [(8, 4), (7, 7), (14, 7), (6, 3), (9, 3), (4, 4), (2, 2), (3, 3)]
)
def test_a_side_has_three_tiles_or_a_few_more(patches: int, tiles: int) -> None:
    assert tiles_a_side(patches) == tiles


@torch.no_grad()
def test_tiles_move_whole_and_go_back(model: Any) -> None:
    objective = Jigsaw(PATCHES, 128, seed=0)
    task = prepared(objective, batch())
    mixed, true = PATCHES.pixels(task.batch.inputs[:, 1:]), pixels()
    for picture in range(5):
        for place, origin in enumerate(task.origins[picture].tolist()):
            (down, right), (before, beside) = divmod(place, 4), divmod(origin, 4)
            here = mixed[picture, 4 * down : 4 * down + 4, 4 * right : 4 * right + 4]
            there = true[picture, 4 * before : 4 * before + 4, 4 * beside : 4 * beside + 4]
            assert np.array_equal(here, there)
    (term,) = objective.loss(model, task)
    assert term.total.item() / term.count == pytest.approx(math.log(16), rel=0.05)
    assert term.right is not None
    assert 0.02 < term.right.item() / term.count < 0.12
    _, _, back = objective.pictures(model, task, 6)
    assert torch.equal(back, batch(6).inputs[:, 1:])


@torch.no_grad()
def test_what_is_sharpened_was_averaged_and_drawn_large_by_bicubic_curves(model: Any) -> None:
    objective = SuperResolution(PATCHES, 128, seed=0)
    smooth = np.stack(
        [
            np.asarray(Image.fromarray(picture[:4, :4]).resize((16, 16), Image.Resampling.BICUBIC))
            for picture in pixels(4)
        ]
    )
    task = prepared(objective, batch(4, smooth))
    shown = PATCHES.pixels(task.batch.inputs[:, 1:]).astype(int)
    for picture, found in zip(smooth, shown, strict=True):
        small = Image.fromarray(picture).resize((8, 8), Image.Resampling.BOX)
        large = np.asarray(small.resize((16, 16), Image.Resampling.BICUBIC)).astype(int)
        assert (
            np.abs(found[2:-2, 2:-2] - large[2:-2, 2:-2]).mean() < 3
        )  # another constant of the cubic; edges differ
    _, left = objective.loss(model, task)
    missing = (task.whole - task.batch.inputs)[:, 1:]
    assert (left.name, left.weight) == ("super_resolution_bicubic", 0.0)
    assert left.total.item() / left.count == pytest.approx(missing.square().mean().item(), rel=1e-4)


@torch.no_grad()
def test_classes_are_the_nearest_centres_and_their_frequency_is_known(model: Any) -> None:
    sample = batch().inputs[:, 1:]
    objective = MaskedPatchClasses(PATCHES, 128, sample, share=0.5, seed=3)
    finder = NearestNeighbors(n_neighbors=1).fit(objective.centres.numpy())
    expected = finder.kneighbors(sample.flatten(0, 1).numpy(), return_distance=False)[:, 0]
    assert (objective.classes(sample).flatten().numpy() == expected).mean() > 0.999
    counts = np.bincount(expected, minlength=256) + 0.5
    assert objective.surprise.numpy() == pytest.approx(-np.log(counts / counts.sum()), rel=1e-3)
    asked, guessed = objective.loss(model, prepared(objective, batch()))
    assert asked.total.item() / asked.count == pytest.approx(math.log(256), rel=0.05)
    assert guessed.total.item() / guessed.count < math.log(256) + 0.05
    assert (guessed.name, guessed.weight) == ("masked_patch_classes_guessed", 0.0)
    shown, painted, centres, true = objective.pictures(model, prepared(objective, batch()), 3)
    assert torch.equal(true, batch(3).inputs[:, 1:])
    assert {tuple(patch.tolist()) for patch in centres.flatten(0, 1)} <= {
        tuple(centre.tolist()) for centre in objective.centres
    }
    assert ((shown == 0).all(-1) | (painted == true).all(-1)).all()


def test_the_centres_are_a_function_of_the_seed_and_no_more_than_there_are_patches() -> None:
    patches = batch(3).inputs[:, 1:].flatten(0, 1)
    assert torch.equal(typical(patches, 8, 5), typical(patches, 8, 5))
    assert typical(patches[:6], 256, 0).shape == (6, 12)


def test_views_are_functions_of_the_picture_alone_and_differ_from_each_other() -> None:
    objective = ViewContrast(PATCHES, 128, seed=0)
    together = prepared(objective, batch(4))
    given = batch(4)
    alone = objective.prepare(
        Batch(given.inputs[2:3], SequenceLayout.dense(1, 65), given.items[2:3]),
        Draws(0, 0, np.array([2])),
    )
    assert torch.allclose(alone.batch.inputs[0], together.batch.inputs[2], atol=1e-6)
    assert torch.allclose(alone.batch.inputs[1], together.batch.inputs[6], atol=1e-6)
    assert not torch.allclose(together.batch.inputs[:4], together.batch.inputs[4:])
    assert together.batch.items.tolist() == [0, 1, 2, 3] * 2


def test_a_view_without_changes_is_the_picture() -> None:
    pictures = PATCHES.joined(batch(4).inputs[:, 1:])
    same = Changes(least_area=1.0, contrast=0.0, brightness=0.0)
    assert torch.allclose(same.of(pictures, Draws(0, 0, np.arange(4)), "view"), pictures, atol=1e-5)
    mirrored = Changes(least_area=1.0, contrast=0.0, brightness=0.0, mirrored=True)
    views = mirrored.of(pictures, Draws(0, 0, np.arange(4)), "view")
    turned = [
        torch.allclose(view, picture.flip(-1), atol=1e-5)
        for view, picture in zip(views, pictures, strict=True)
    ]
    kept = [torch.allclose(view, picture, atol=1e-5) for view, picture in zip(views, pictures, strict=True)]
    assert [a != b for a, b in zip(turned, kept, strict=True)] == [True] * 4
    assert len(set(turned)) == 2


@torch.no_grad()
def test_the_teacher_of_pictures_follows_and_its_mean_costs_one(model: Any) -> None:
    objective = PictureDistillation(PATCHES, model.backbone, seed=0)
    task = prepared(objective, batch(16))
    (term,) = objective.loss(model, task)
    assert 0.8 < term.total.item() / term.count < 2.0
    objective.prediction.weight.zero_()
    (term,) = objective.loss(model, task)
    assert term.total.item() / term.count == pytest.approx(1.0, rel=1e-3)
    objective.after_step(model)
    assert int(objective.teacher.steps) == 1
    assert not any(parameter.requires_grad for parameter in objective.teacher.parameters())


def test_neighbours_are_others_and_the_nearest_comes_first() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.5, 0.5]])
    pictures = torch.arange(4.0).view(4, 1, 1)
    found = nearest(vectors, pictures, 2, lines=2)
    assert [line.flatten().tolist() for line in found] == [[0, 1], [1, 0], [3, 3]]
