"""CLIP here and in transformers: shared random weights, the same vectors and the same factor, both ways."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from headwater.data.sequencers import Patches, Sides, Tokenizer
from headwater.errors import BadDataError
from headwater.models import Model, PatchSettings, TwoTowers, build_model, load_bundle, save_bundle
from headwater.models.tower_sizes import two_tower_settings
from headwater.sequence import SequenceLayout

PATCHES = Patches(rows=3, columns=3, side=4, channels=3, mean=(0.5, 0.4, 0.3), deviation=(0.2, 0.3, 0.25))
TEXTS = ["a red hat", "a character with purple hair, facing right", "绿色的帽子", "a"]
LENGTH = 24


@pytest.fixture(scope="module")
def vocabulary() -> Tokenizer:
    return Tokenizer.learn_for_pairs(TEXTS * 5, 300)


def pixels() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)


def two_towers(vocabulary: Tokenizer) -> Model:
    shape = PatchSettings(rows=3, columns=3, side=4, channels=3)
    model = build_model(two_tower_settings("nano", shape, vocabulary.size, text_length=LENGTH), seed=0).eval()
    torch.manual_seed(1)
    for parameter in model.parameters():  # biases and norms begin as zeros and ones, which hide mistakes
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model


def framed(vocabulary: Tokenizer) -> tuple[torch.Tensor, SequenceLayout]:
    rows = [[vocabulary.cls, *tokens.tolist(), vocabulary.sep] for tokens in vocabulary.encode_batch(TEXTS)]
    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max())
    inputs = torch.tensor([row + [vocabulary.pad] * (width - len(row)) for row in rows])
    return inputs, SequenceLayout.padded(lengths, width)


@torch.no_grad()
def test_our_folder_gives_transformers_the_same_vectors(vocabulary: Tokenizer, tmp_path: Path) -> None:
    model = two_towers(vocabulary)
    save_bundle(tmp_path / "model", model, Sides(PATCHES, vocabulary), {"length": LENGTH})
    theirs: Any = transformers.AutoModel.from_pretrained(tmp_path / "model").eval()
    assert type(theirs).__name__ == "CLIPModel"
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    words = tokenizer(TEXTS, padding=True, return_tensors="pt")
    found = theirs(
        input_ids=words["input_ids"],
        attention_mask=words["attention_mask"],
        pixel_values=PATCHES.joined(PATCHES.patched(pixels())),
    )
    towers = model.backbone
    assert isinstance(towers, TwoTowers)
    first = towers.first(*PATCHES.sequences(pixels()))
    second = towers.second(*framed(vocabulary))
    torch.testing.assert_close(found.image_embeds, first, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.text_embeds, second, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        found.logits_per_image, towers.scale() * first @ second.T, atol=1e-4, rtol=1e-5
    )


@torch.no_grad()
def test_their_folder_gives_us_the_same_vectors(vocabulary: Tokenizer, tmp_path: Path) -> None:
    side = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_act": "gelu",
    }
    config = transformers.CLIPConfig(
        text_config={
            **side,
            "vocab_size": vocabulary.size,
            "max_position_embeddings": LENGTH,
            "eos_token_id": vocabulary.sep,
            "pad_token_id": vocabulary.pad,
        },
        vision_config={**side, "hidden_size": 40, "image_size": 12, "patch_size": 4},
        projection_dim=20,
    )
    torch.manual_seed(0)
    theirs = transformers.CLIPModel(config).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    theirs.save_pretrained(tmp_path)
    towers = load_bundle(tmp_path).model.eval().backbone
    assert isinstance(towers, TwoTowers)
    inputs, layout = framed(vocabulary)
    found: Any = theirs(input_ids=inputs, pixel_values=PATCHES.joined(PATCHES.patched(pixels())))
    torch.testing.assert_close(
        towers.first(*PATCHES.sequences(pixels())), found.image_embeds, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(towers.second(inputs, layout), found.text_embeds, atol=1e-5, rtol=0)


def test_what_was_saved_is_what_is_loaded(vocabulary: Tokenizer, tmp_path: Path) -> None:
    model = two_towers(vocabulary)
    save_bundle(tmp_path / "model", model, Sides(PATCHES, vocabulary), {"length": LENGTH})
    again = load_bundle(tmp_path / "model")
    assert again.settings == getattr(model.backbone, "settings", None)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name


def test_an_end_of_number_two_is_refused(vocabulary: Tokenizer, tmp_path: Path) -> None:
    save_bundle(tmp_path / "model", two_towers(vocabulary), Sides(PATCHES, vocabulary), {"length": LENGTH})
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["text_config"]["eos_token_id"] = 2
    path.write_text(json.dumps(config))
    with pytest.raises(BadDataError, match="eos_token_id = 2"):
        load_bundle(tmp_path / "model")
