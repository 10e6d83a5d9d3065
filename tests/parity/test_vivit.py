"""ViViT here and in transformers: shared random weights, the same states and answers, both ways."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from headwater.data.sequencers.patches import Film, Patches, film_strip
from headwater.models import Model, PatchSettings, build_model, load_bundle, picture_settings, save_bundle

MEAN, DEVIATION = (0.5, 0.5, 0.4, 0.4, 0.3, 0.3), (0.2, 0.2, 0.3, 0.3, 0.25, 0.25)
PATCHES = Patches(rows=9, columns=3, side=4, channels=6, mean=MEAN, deviation=DEVIATION, film=Film(3, 0.0))
SHAPE = PatchSettings(rows=9, columns=3, side=4, channels=6, slices=3)


def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(4, 6, 12, 12, 3), dtype=np.uint8)


def strips() -> np.ndarray:
    return np.stack([film_strip(clip) for clip in frames()])


def as_they_read_them() -> torch.Tensor:
    """(B, T, K, H, W), each channel's mean and deviation those of both frames of a pair."""
    numbers = torch.from_numpy(frames()).permute(0, 1, 4, 2, 3).float() / 255
    mean, deviation = (torch.tensor(values[::2])[:, None, None] for values in (MEAN, DEVIATION))
    return (numbers - mean) / deviation


def noisy(model: Model) -> Model:
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model.eval()


@pytest.mark.parametrize("head", [None, "classification", "regression"])
@torch.no_grad()
def test_our_folder_gives_transformers_the_same_answers(head: str | None, tmp_path: Path) -> None:
    options: dict[str, Any] = {"classes": 6} if head == "classification" else {}
    options |= {} if head is None else {"pooling": "first"}
    model = noisy(build_model(picture_settings("nano", SHAPE), head=head, seed=0, **options))
    save_bundle(tmp_path, model, PATCHES, {})
    inputs, layout = PATCHES.sequences(strips())
    states = model.backbone(inputs, layout)
    kind: Any = transformers.VivitModel if head is None else transformers.VivitForVideoClassification
    theirs = kind.from_pretrained(tmp_path).eval()
    answer = theirs(as_they_read_them())
    found = answer.last_hidden_state if head is None else answer.logits
    expected = states if head is None else model.heads[head](states, layout)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    again = load_bundle(tmp_path)
    torch.testing.assert_close(again.model.eval().backbone(inputs, layout), states, atol=0, rtol=0)
    assert Patches.load(tmp_path, **SHAPE.cut) == PATCHES


@torch.no_grad()
def test_their_folder_gives_us_the_same_states(tmp_path: Path) -> None:
    config = transformers.VivitConfig(
        image_size=12,
        num_frames=6,
        tubelet_size=[2, 4, 4],
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        hidden_act="gelu",
    )
    torch.manual_seed(0)
    theirs = transformers.VivitModel(config).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    theirs.save_pretrained(tmp_path)
    inputs, layout = PATCHES.sequences(strips())
    ours = load_bundle(tmp_path).model.eval().backbone(inputs, layout)
    torch.testing.assert_close(ours, theirs(as_they_read_them()).last_hidden_state, atol=1e-5, rtol=0)


def test_frames_that_are_no_squares_are_written_otherwise(tmp_path: Path) -> None:
    shape = PatchSettings(rows=6, columns=3, side=4, channels=6, slices=3)
    model = build_model(picture_settings("nano", shape), seed=0)
    patches = Patches(
        rows=6, columns=3, side=4, channels=6, mean=MEAN, deviation=DEVIATION, film=Film(3, 0.0)
    )
    save_bundle(tmp_path, model, patches, {})
    assert load_bundle(tmp_path).settings == model.backbone.settings  # pyright: ignore[reportAttributeAccessIssue]
