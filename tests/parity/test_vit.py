"""ViT against transformers with the same random weights, and pictures against transformers' own preparation of them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from headwater.data.sequencers.patches import Patches
from headwater.errors import BadDataError
from headwater.models import PatchSettings, build_model, load_bundle, picture_settings, save_bundle
from headwater.sequence import SequenceLayout

PATCHES = Patches(rows=3, columns=4, side=4, channels=3, mean=(0.5, 0.4, 0.3), deviation=(0.2, 0.25, 0.3))


def config(**more: Any) -> transformers.ViTConfig:
    return transformers.ViTConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=80,
        image_size=[12, 16],
        patch_size=4,
        **more,
    )


def pixels(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(count, 12, 16, 3), dtype=np.uint8)


def noisy(model: Any) -> Any:
    """transformers begins biases at 0 and norms at 1: drawn, they are seen."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.mark.parametrize("kind", ["ViTModel", "ViTForImageClassification"])
@torch.no_grad()
def test_a_folder_of_transformers_gives_the_same_answers(kind: str, tmp_path: Path) -> None:
    theirs = noisy(getattr(transformers, kind)(config(num_labels=7)))
    theirs.save_pretrained(tmp_path)
    ours = load_bundle(tmp_path).model.eval()
    numbers = PATCHES.joined(PATCHES.patched(pixels()))
    inputs, layout = PATCHES.sequences(pixels())
    states = ours.backbone(inputs, layout)
    if kind == "ViTModel":
        torch.testing.assert_close(states, theirs(numbers).last_hidden_state, atol=1e-5, rtol=0)
    else:
        logits = ours.heads["classification"](states, layout)
        torch.testing.assert_close(logits, theirs(numbers).logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["classification", "regression"])
@torch.no_grad()
def test_first_and_mean_are_what_dinov2_reads(kind: str, tmp_path: Path) -> None:
    square = dataclasses.replace(PATCHES, columns=3)
    patches = PatchSettings(rows=3, columns=3, side=4, channels=3)
    options = {"classes": 6} if kind == "classification" else {}
    model = noisy(build_model(picture_settings("nano", patches), head=kind, seed=0, **options))
    save_bundle(tmp_path, model, square, {})
    theirs: Any = transformers.AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    assert type(theirs).__name__ == "Dinov2ForImageClassification"
    inputs, layout = square.sequences(pixels()[:, :, :12])
    expected = model.heads[kind](model.backbone(inputs, layout), layout)
    found = theirs(square.joined(square.patched(pixels()[:, :, :12]))).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    torch.manual_seed(1)
    torch.nn.init.normal_(theirs.classifier.weight)
    theirs.save_pretrained(tmp_path / "theirs")
    again = load_bundle(tmp_path / "theirs").model.eval()
    logits = again.heads["classification" if kind == "classification" else kind](
        again.backbone(inputs, layout), layout
    )
    torch.testing.assert_close(
        logits, theirs(square.joined(square.patched(pixels()[:, :, :12]))).logits, atol=1e-4, rtol=1e-5
    )


@torch.no_grad()
def test_pictures_that_are_no_squares_stay_at_home(tmp_path: Path) -> None:
    patches = PatchSettings(rows=3, columns=4, side=4, channels=3)
    model = build_model(picture_settings("nano", patches), head="classification", classes=6, seed=0).eval()
    save_bundle(tmp_path, model, PATCHES, {})
    inputs, layout = PATCHES.sequences(pixels())
    again = load_bundle(tmp_path).model.eval()
    assert torch.equal(
        again.heads["classification"](again.backbone(inputs, layout), layout),
        model.heads["classification"](model.backbone(inputs, layout), layout),
    )


@pytest.mark.parametrize("head", [None, "classification", "regression"])
@torch.no_grad()
def test_our_folder_gives_transformers_the_same_answers(head: str | None, tmp_path: Path) -> None:
    patches = PatchSettings(rows=3, columns=4, side=4, channels=3)
    options: dict[str, Any] = {"classes": 6} if head == "classification" else {}
    options |= {} if head is None else {"pooling": "first"}
    model = build_model(picture_settings("nano", patches), head=head, seed=0, **options).eval()
    save_bundle(tmp_path / "model", model, PATCHES, {})
    numbers = PATCHES.joined(PATCHES.patched(pixels()))
    inputs, layout = PATCHES.sequences(pixels())
    states = model.backbone(inputs, layout)
    if head is None:
        theirs: Any = transformers.AutoModel.from_pretrained(tmp_path / "model").eval()
        found, expected = theirs(numbers).last_hidden_state, states
    else:
        theirs = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
        found, expected = theirs(numbers).logits, model.heads[head](states, layout)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    again = load_bundle(tmp_path / "model")
    assert Patches.load(again.folder, **patches.cut) == PATCHES
    torch.testing.assert_close(again.model.eval().backbone(inputs, layout), states, atol=0, rtol=0)


def test_transformers_prepares_pictures_as_we_do(tmp_path: Path) -> None:
    PATCHES.save(tmp_path)
    processor: Any = transformers.ViTImageProcessor.from_pretrained(tmp_path)
    pictures = [Image.fromarray(values) for values in pixels()]
    found = torch.as_tensor(np.stack(processor(pictures, input_data_format=None)["pixel_values"]))
    torch.testing.assert_close(found, PATCHES.joined(PATCHES.patched(pixels())), atol=1e-5, rtol=0)


def test_patches_are_joined_as_they_were_cut() -> None:
    inputs, layout = PATCHES.sequences(pixels())
    assert inputs.shape == (5, 13, 48)
    assert layout.uniform
    assert np.array_equal(PATCHES.pixels(inputs[:, 1:]), pixels())
    second = PATCHES.joined(PATCHES.patched(pixels()))[0, :, 0:4, 4:8]  # channel, line, column
    assert torch.equal(inputs[0, 2], second.flatten())


@torch.no_grad()
def test_a_picture_that_lacks_patches_keeps_their_places() -> None:
    patches = PatchSettings(rows=3, columns=4, side=4, channels=3)
    backbone = build_model(picture_settings("nano", patches), seed=0).eval().backbone
    inputs, layout = PATCHES.sequences(pixels(2))
    seen = torch.tensor([0, 3, 5, 12])
    part = SequenceLayout(layout.documents[:, seen], layout.positions[:, seen], uniform=True)
    whole = backbone.embed(inputs, layout)
    assert torch.equal(backbone.embed(inputs[:, seen], part), whole[:, seen])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"qkv_bias": False}, "qkv_bias"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"image_size": 13}, "sides that patches fill"),
        ({"use_mask_token": True}, "use_mask_token"),
    ],
)
def test_a_config_that_means_something_else_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    transformers.ViTForImageClassification(config()).save_pretrained(tmp_path)
    said = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(BadDataError, match=words):
        load_bundle(tmp_path)


def test_branches_that_are_scaled_are_refused(tmp_path: Path) -> None:
    theirs: Any = transformers.Dinov2ForImageClassification(
        transformers.Dinov2Config(
            hidden_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=12,
            patch_size=4,
            use_mask_token=False,
        )
    )
    theirs.save_pretrained(tmp_path / "whole")
    assert load_bundle(tmp_path / "whole").model.backbone.width == 48
    torch.nn.init.constant_(theirs.dinov2.encoder.layer[1].layer_scale1.lambda1, 0.3)
    theirs.save_pretrained(tmp_path / "scaled")
    with pytest.raises(BadDataError, match="layer_scale1"):
        load_bundle(tmp_path / "scaled")
