"""The painters of pictures: what is asked for, what the error is, and that nothing hidden is seen."""

from typing import Any

import numpy as np
import pytest
import torch

from headwater.data.sequencers.patches import Patches
from headwater.errors import SettingsError
from headwater.models import PatchSettings, build_model, encoder_settings, picture_settings
from headwater.objectives import MaskedAutoencoding, MaskedPatches
from headwater.objectives.hiding_patches import HidingTask
from headwater.objectives.painting import Painting
from headwater.randomness import Draws
from headwater.sequence import Batch

PATCHES = Patches(rows=4, columns=4, side=2, channels=3, mean=(0.5,) * 3, deviation=(0.25,) * 3)
SETTINGS = picture_settings("nano", PatchSettings(rows=4, columns=4, side=2, channels=3))


@pytest.fixture(scope="module")
def model() -> Any:
    return build_model(SETTINGS, seed=0).eval()


@pytest.fixture(scope="module", params=[MaskedAutoencoding, MaskedPatches])
def objective(request: pytest.FixtureRequest) -> Painting:
    return request.param(SETTINGS, share=0.75, seed=0).eval()


def batch(count: int = 3, first: int = 0) -> Batch:
    pixels = np.random.default_rng(0).integers(256, size=(8, 8, 8, 3), dtype=np.uint8)[first : first + count]
    return Batch(*PATCHES.sequences(pixels), torch.arange(first, first + count))


def prepared(objective: Painting, given: Batch) -> HidingTask:
    return objective.prepare(given, Draws(0, 0, given.items.numpy()))


def test_a_quarter_is_seen_and_the_rest_is_asked_for(objective: Painting) -> None:
    task = prepared(objective, batch())
    assert task.seen.shape == (3, 1 + 4)
    assert task.hidden.shape == (3, 12)
    assert task.counts == {objective.name: 36}
    assert task.tokens == (15 if objective.name == "masked_autoencoding" else 51)
    for seen, hidden in zip(task.seen.tolist(), task.hidden.tolist(), strict=True):
        assert seen[0] == 0
        assert sorted([*seen[1:], *hidden]) == list(range(1, 17))
    alone = prepared(objective, batch(1, first=2))
    assert torch.equal(alone.seen[0], task.seen[2])  # a function of the picture, whatever the batch


@torch.no_grad()
def test_the_loss_is_the_error_of_even_patches(objective: Painting, model: Any) -> None:
    task = prepared(objective, batch())
    (term,) = objective.loss(model, task)
    painted = objective.painted(model, task)
    total = 0.0
    for picture in range(3):
        for place, hidden in enumerate(task.hidden[picture].tolist()):
            patch = task.batch.inputs[picture, hidden]
            even = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
            total += float(((painted[picture, place] - even) ** 2).mean())
    assert term.total.item() == pytest.approx(total, rel=1e-4)
    assert term.count == 36


@torch.no_grad()
def test_painting_every_patch_in_its_mean_colour_has_an_error_of_one(
    objective: Painting, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = prepared(objective, batch())
    monkeypatch.setattr(objective, "painted", lambda *_: torch.zeros(3, 12, 12))
    (term,) = objective.loss(model, task)
    assert term.total.item() / term.count == pytest.approx(11 / 12, rel=1e-3)  # the variance divides by n − 1


def test_what_is_hidden_changes_nothing_that_is_painted(objective: Painting, model: Any) -> None:
    task = prepared(objective, batch())
    inputs = task.batch.inputs.clone().requires_grad_()
    painted = objective.painted(
        model, HidingTask(Batch(inputs, task.batch.layout, task.batch.items), {}, task.seen, task.hidden)
    )
    (slope,) = torch.autograd.grad(painted.square().sum(), inputs)
    read = slope.abs().sum(dim=-1) > 0
    for picture in range(3):
        assert read[picture].nonzero()[:, 0].tolist() == task.seen[picture, 1:].tolist()


@torch.no_grad()
def test_pictures_show_what_was_seen_painted_and_true(objective: Painting, model: Any) -> None:
    task = prepared(objective, batch())
    shown, painted, true = objective.pictures(model, task, 3)
    assert torch.equal(true, task.batch.inputs[:, 1:])
    for picture in range(3):
        seen = task.seen[picture, 1:] - 1
        assert torch.equal(shown[picture, seen], true[picture, seen])
        assert torch.equal(painted[picture, seen], true[picture, seen])
        assert not shown[picture, task.hidden[picture] - 1].any()


@pytest.mark.parametrize("kind", [MaskedAutoencoding, MaskedPatches])
@pytest.mark.parametrize("share", [0.0, 1.0, 0.01, 0.99])
def test_some_patches_must_be_seen_and_some_hidden(share: float, kind: type[Any]) -> None:
    with pytest.raises(SettingsError, match="leaves"):
        kind(SETTINGS, share=share)


def test_a_model_of_text_paints_nothing() -> None:
    with pytest.raises(SettingsError, match="reads none"):
        MaskedAutoencoding(encoder_settings("nano", 100))
