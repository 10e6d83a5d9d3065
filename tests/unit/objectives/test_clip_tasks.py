"""Pretext tasks of clips: what is hidden, what is asked for, and guesses that cost what they must."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from headwater.data.sequencers.patches import Film, Patches, film_strip
from headwater.errors import SettingsError
from headwater.models import PatchSettings, build_model, picture_settings
from headwater.objectives import FrameOrder, FutureFrames, MaskedTubelets, PastFrames, ViewContrast
from headwater.objectives.hiding_patches import HidingSlices
from headwater.objectives.picture_distillation import PictureDistillation
from headwater.objectives.picture_objective import PictureObjective
from headwater.randomness import Draws
from headwater.sequence import Batch

SHAPE = PatchSettings(rows=12, columns=4, side=4, channels=6, slices=3)
SETTINGS = picture_settings("nano", SHAPE)
PATCHES = Patches(
    rows=12, columns=4, side=4, channels=6, mean=(0.5,) * 6, deviation=(0.25,) * 6, film=Film(3, 1.0)
)
COUNT = 60


@pytest.fixture(scope="module")
def model() -> Any:
    return build_model(SETTINGS, seed=0).eval()


def clips(count: int = COUNT) -> np.ndarray:
    frames = np.random.default_rng(0).integers(256, size=(count, 6, 16, 16, 3), dtype=np.uint8)
    return np.stack([film_strip(clip) for clip in frames])


def batch(given: np.ndarray | None = None) -> Batch:
    given = clips() if given is None else given
    return Batch(*PATCHES.sequences(given), torch.arange(len(given)))


def prepared(objective: PictureObjective, given: Batch) -> Any:
    return objective.prepare(given, Draws(0, 0, given.items.numpy()))


def test_a_tubelet_is_hidden_at_all_times() -> None:
    task = prepared(MaskedTubelets(SETTINGS, share=0.75), batch())
    hidden = (task.hidden - 1).unflatten(1, (3, -1))
    assert torch.equal(hidden[:, 1] - 16, hidden[:, 0])
    assert torch.equal(hidden[:, 2] - 32, hidden[:, 0])
    assert hidden.shape == (COUNT, 3, 12)
    places = torch.cat((task.seen[:, 1:], task.hidden), dim=1).sort(dim=1).values
    assert torch.equal(places, torch.arange(1, 49).expand(COUNT, -1))
    assert len({tuple(row.tolist()) for row in hidden[:, 0]}) > COUNT // 2


@torch.no_grad()
def test_a_teacher_sees_what_its_student_cannot_at_any_time(model: Any) -> None:
    objective = PictureDistillation(PATCHES, model.backbone, share=0.5)
    task = prepared(objective, batch())
    hidden = (task.hidden - 1).unflatten(1, (3, -1))
    assert torch.equal(hidden[:, 1] - 16, hidden[:, 0])
    assert hidden.shape == (COUNT, 3, 8)
    objective.prediction.weight.zero_()
    (term,) = objective.loss(model, task)
    assert term.total.item() / term.count == pytest.approx(1.0, rel=1e-3)  # what the mean of its states costs


@pytest.mark.parametrize(
    ("kind", "seen", "copied"), [(FutureFrames, range(1, 33), 1), (PastFrames, range(17, 49), 1)]
)
def test_one_part_of_a_clip_is_read_and_the_other_painted(
    model: Any, kind: type[Any], seen: range, copied: int
) -> None:
    objective = kind(SETTINGS)
    task = prepared(objective, batch())
    assert task.seen[0].tolist() == [0, *seen]
    assert torch.equal(task.seen, task.seen[:1].expand(COUNT, -1))
    painted, still = objective.loss(model, task)
    assert (painted.weight, still.weight) == (1.0, 0.0)
    slices = task.batch.inputs[:, 1:].unflatten(1, (3, 16)).double()
    even = (slices - slices.mean(-1, keepdim=True)) / slices.std(-1, keepdim=True)
    asked = 2 if kind is FutureFrames else 0
    expected = (even[:, copied] - even[:, asked]).square().mean(-1).sum()
    assert still.total.item() == pytest.approx(expected.item(), rel=1e-3)
    assert painted.total.item() / painted.count == pytest.approx(1.0, abs=0.6)


def test_a_clip_that_stands_still_is_copied_without_an_error(model: Any) -> None:
    frame = np.random.default_rng(1).integers(256, size=(4, 1, 16, 16, 3), dtype=np.uint8)
    still = np.stack([film_strip(clip) for clip in frame.repeat(6, axis=1)])
    objective = FutureFrames(SETTINGS)
    assert objective.loss(model, prepared(objective, batch(still)))[1].total.item() == pytest.approx(
        0, abs=1e-4
    )


def test_a_clip_of_one_pair_has_no_future() -> None:
    with pytest.raises(SettingsError, match=r"data\.frames"):
        HidingSlices(16, slices=1, hidden=[])


@torch.no_grad()
def test_frames_are_shuffled_whole_and_go_back(model: Any) -> None:
    objective = FrameOrder(PATCHES, 128)
    given = batch()
    task = prepared(objective, given)
    assert torch.equal(task.origins.sort(dim=1).values, torch.arange(6).expand(COUNT, -1))
    frames = PATCHES.shown(PATCHES.pixels(given.inputs[:, 1:]))
    shuffled = PATCHES.shown(PATCHES.pixels(task.batch.inputs[:, 1:]))
    for clip in range(5):
        for place, origin in enumerate(task.origins[clip].tolist()):
            here = shuffled[clip, :, 16 * place : 16 * place + 16]
            assert np.array_equal(here, frames[clip, :, 16 * origin : 16 * origin + 16])
    back = objective.arranged(task.batch.inputs[:, 1:], task.origins.argsort(dim=1))
    assert torch.equal(back, given.inputs[:, 1:])
    (term,) = objective.loss(model, task)
    assert term.total.item() / term.count == pytest.approx(math.log(6), abs=0.3)
    assert term.right is not None
    assert term.right.item() / term.count == pytest.approx(1 / 6, abs=0.06)


@torch.no_grad()
def test_a_frame_is_asked_for_its_own_time() -> None:
    """Of frames that carry their number as their shade, a map that reads the shade knows every time."""
    frames = np.broadcast_to(40 * np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 16, 16, 3))
    given = batch(np.stack([film_strip(np.ascontiguousarray(frames))] * 8))
    objective = FrameOrder(PATCHES, 128)
    task = prepared(objective, given)
    shown = PATCHES.shown(PATCHES.pixels(task.batch.inputs[:, 1:]))[:, 0, ::16, 0]
    assert (np.round(shown / 40).astype(int) == task.origins.numpy()).all()


@torch.no_grad()
def test_all_frames_of_a_view_show_the_same_part(model: Any) -> None:
    """Of a clip that stands still every view stands still."""
    frame = np.random.default_rng(1).integers(256, size=(4, 1, 16, 16, 3), dtype=np.uint8)
    still = np.stack([film_strip(clip) for clip in frame.repeat(6, axis=1)])
    task = prepared(ViewContrast(PATCHES, 128), batch(still))
    slices = task.batch.inputs[:, 1:].unflatten(1, (3, 16))
    assert torch.allclose(slices[:, 0], slices[:, 2], atol=1e-5)
    pairs = slices.view(8, 3, 16, 3, 2, 16)
    assert torch.allclose(pairs[:, :, :, :, 0], pairs[:, :, :, :, 1], atol=1e-5)


@pytest.mark.parametrize("kind", [MaskedTubelets, FutureFrames, PastFrames])
@torch.no_grad()
def test_there_is_something_to_look_at(model: Any, kind: type[Any]) -> None:
    objective = kind(SETTINGS)
    shown = objective.pictures(model, prepared(objective, batch()), 3)
    assert [lines.shape for lines in shown] == [(3, 48, 96)] * 3
    assert len(objective.lines) == 3
