"""A model of pictures of one size reads another: as transformers would, and the same where nothing changes."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from headwater.data.kinds import Side
from headwater.data.sequencers.patches import Film, Patches
from headwater.data.spectrogram import Mel
from headwater.errors import SettingsError
from headwater.nn.positions import stretched
from headwater.run.resizing import refuse_others_sizes, resized_patches
from headwater.run.settings import DataSettings, ModelSettings, RunSettings

PICTURE = Patches(rows=4, columns=4, side=4, channels=3, mean=(0.5,) * 3, deviation=(0.25,) * 3)
SOUND = replace(PICTURE, rows=8, columns=9, side=8, channels=1, mel=Mel(8000, 72, 64))
CLIP = replace(PICTURE, rows=16, channels=6, film=Film(4, 1.0))


def asking(**data: Any) -> RunSettings:
    return RunSettings(kind="finetune", data=DataSettings(paths=("x",), **data))


def test_positions_are_those_that_transformers_draws_out() -> None:
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=4
    )
    embeddings = transformers.ViTModel(config).embeddings
    torch.nn.init.normal_(embeddings.position_embeddings)
    expected = embeddings.interpolate_pos_encoding(torch.zeros(1, 37, 32), 24, 24)[0]
    table = embeddings.position_embeddings[0]
    torch.testing.assert_close(stretched(table, (1, 4, 4), (1, 6, 6)), expected, rtol=1e-5, atol=1e-6)


def test_the_same_grid_is_the_same_table() -> None:
    table = torch.randn(33, 8)
    assert torch.equal(stretched(table, (2, 4, 4), (2, 4, 4)), table)


def test_time_is_drawn_out_in_a_line() -> None:
    table = torch.zeros(1 + 2 * 4, 1)
    table[5:] = 1.0  # the second slice
    slices = stretched(table, (2, 2, 2), (4, 2, 2))[1:, 0].view(4, 4)
    torch.testing.assert_close(slices.mean(dim=1), torch.tensor([0.0, 0.25, 0.75, 1.0]))
    assert slices.std(dim=1).max() == 0


def test_what_is_asked_for_is_cut_into_the_same_patches() -> None:
    assert resized_patches(PICTURE, asking()) is PICTURE
    large = resized_patches(PICTURE, asking(side=32))
    assert (large.rows, large.columns, large.side, large.height) == (8, 8, 4, 32)
    long = resized_patches(SOUND, asking(seconds=1.43))
    assert (long.rows, long.columns, long.mel and long.mel.frames) == (8, 18, 144)
    loud = resized_patches(SOUND, asking(full_volume=True))
    assert loud == replace(SOUND, mel=Mel(8000, 72, 64, full_volume=True))
    assert resized_patches(loud, asking(seconds=1.43)).mel == Mel(8000, 144, 64, full_volume=True)
    film = resized_patches(CLIP, asking(frames=16, side=24))
    assert (film.slices, film.rows, film.columns) == (8, 48, 6)
    assert film.film == Film(8, 1.0)


@pytest.mark.parametrize(
    ("patches", "settings", "words"),
    [
        (PICTURE, asking(full_volume=True), "data.full_volume says nothing of pictures"),
        (PICTURE, asking(side=30), "choose a multiple of 4"),
        (CLIP, asking(frames=7), "even number"),
        (PICTURE, asking(seconds=2.0), "data.seconds says nothing of pictures"),
        (SOUND, asking(side=32), "data.side says nothing of recordings"),
        (PICTURE, replace(asking(), model=ModelSettings(patch=8)), "reads patches of 4"),
    ],
)
def test_what_does_not_fit_is_refused(patches: Patches, settings: RunSettings, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        resized_patches(patches, settings)


@pytest.mark.parametrize(
    ("sides", "settings", "words"),
    [
        (("text",), asking(side=32), "data.side says nothing of text"),
        (("text",), replace(asking(), model=ModelSettings(patch=8)), "model.patch says nothing of text"),
        (("audio",), asking(frames=8), "data.frames says nothing of recordings"),
        (("image", "text"), asking(full_volume=False), "data.full_volume says nothing of pictures and text"),
    ],
)
def test_a_size_that_the_data_do_not_have_is_refused(
    sides: tuple[Side, ...], settings: RunSettings, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        refuse_others_sizes(settings, *sides)


def test_a_pair_is_cut_as_either_side_is() -> None:
    refuse_others_sizes(asking(side=32, seconds=1.0, full_volume=False), "image", "audio")
    refuse_others_sizes(asking(), "text")
