"""AST's and VideoMAE's numbers from our parts: patches, positions, blocks; their folders are not read (decision 14)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from headwater.data.sequencers.patches import Film, Patches, film_strip
from headwater.models import PatchSettings, TransformerSettings, build_model, picture_settings
from headwater.models.layouts import vit
from headwater.models.layouts.names import from_published
from headwater.nn.positions import sinusoids
from headwater.sequence import SequenceLayout

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "patch_size": 4,
}


def ours(patches: PatchSettings, **changed: Any) -> TransformerSettings:
    shape: dict[str, Any] = {"width": 32, "depth": 2, "num_heads": 2, "feed_forward_width": 48}
    return replace(picture_settings("nano", patches), norm_epsilon=1e-12, **shape, **changed)


def saved(model: torch.nn.Module, folder: Path) -> dict[str, Tensor]:
    """Random weights, as transformers writes them."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    model.eval().save_pretrained(folder)  # pyright: ignore[reportCallIssue]
    return {f"vit.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}


def with_blocks_of(published: dict[str, Tensor], settings: TransformerSettings) -> Any:
    """Our backbone with the projection and blocks of a folder; what stands before the first patch stays as drawn."""
    shared = [
        name
        for name in vit.names(settings, None)
        if not name.ours.startswith(("backbone.embedding.first", "backbone.embedding.positions"))
        and (settings.final_norm or not name.ours.startswith("backbone.final_norm"))
    ]
    model = build_model(settings, seed=0)
    missing, strange = model.load_state_dict(from_published(published, shared), strict=False)
    assert not strange
    assert set(missing) == {"backbone.embedding.first.weight", "backbone.embedding.positions.table.weight"}
    return model.eval().backbone


@torch.no_grad()
def test_two_tokens_in_front_of_a_spectrogram_read_it_as_ast_does(tmp_path: Path) -> None:
    config = transformers.ASTConfig(**SHAPE, num_mel_bins=8, max_length=20, frequency_stride=4, time_stride=4)
    theirs = transformers.ASTModel(config)
    published = saved(theirs, tmp_path)
    patches = Patches(rows=2, columns=5, side=4, channels=1, mean=(0.5,), deviation=(0.5,))
    backbone = with_blocks_of(published, ours(PatchSettings(rows=2, columns=5, side=4, channels=1)))
    picture = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 8, 20)).astype(np.float32))
    front = [published[f"vit.embeddings.{name}_token"].expand(3, -1, -1) for name in ("cls", "distillation")]
    seen = backbone.embedding.projection(patches.cut(picture))
    embedded = torch.cat([*front, seen], dim=1) + published["vit.embeddings.position_embeddings"]
    states = backbone.encode(embedded, SequenceLayout.dense(3, 12))
    answer = theirs(picture[:, 0].transpose(1, 2))  # AST is given time before pitch
    torch.testing.assert_close(states, answer.last_hidden_state, atol=1e-5, rtol=0)
    torch.testing.assert_close(states[:, :2].mean(1), answer.pooler_output, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_strip_without_a_first_token_is_read_as_videomae_does(tmp_path: Path) -> None:
    config = transformers.VideoMAEConfig(**SHAPE, image_size=12, num_frames=6, tubelet_size=2)
    theirs = transformers.VideoMAEModel(config)
    published = saved(theirs, tmp_path)
    for number in range(2):  # queries and values have a bias there, keys none
        place = f"vit.encoder.layer.{number}.attention.attention"
        published[f"{place}.query.bias"] = published.pop(f"{place}.q_bias")
        published[f"{place}.value.bias"] = published.pop(f"{place}.v_bias")
        published[f"{place}.key.bias"] = torch.zeros(32)
    kernel = published["vit.embeddings.patch_embeddings.projection.weight"]  # (C, K, frames, side, side)
    published["vit.embeddings.patch_embeddings.projection.weight"] = kernel.flatten(1, 2)
    shape = PatchSettings(rows=9, columns=3, side=4, channels=6, slices=3)
    backbone = with_blocks_of(published, ours(shape, final_norm=False))
    mean, deviation = (0.5, 0.5, 0.4, 0.4, 0.3, 0.3), (0.2, 0.2, 0.3, 0.3, 0.25, 0.25)
    film = Patches(rows=9, columns=3, side=4, channels=6, mean=mean, deviation=deviation, film=Film(3, 0.0))
    frames = np.random.default_rng(0).integers(256, size=(4, 6, 12, 12, 3), dtype=np.uint8)
    seen = film.patched(np.stack([film_strip(clip) for clip in frames]))
    embedded = backbone.embedding.projection(seen) + sinusoids(torch.arange(27), 32)
    states = backbone.encode(embedded, SequenceLayout.dense(4, 27))
    clips = torch.from_numpy(frames).permute(0, 1, 4, 2, 3).float() / 255
    clips = (clips - torch.tensor(mean[::2])[:, None, None]) / torch.tensor(deviation[::2])[:, None, None]
    torch.testing.assert_close(states, theirs(clips).last_hidden_state, atol=1e-5, rtol=0)
