"""Pictures as codes, and the next of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headwater.data.sequencers import CodedPatches, Patches
from headwater.errors import BadDataError
from headwater.models import build_model, decoder_settings
from headwater.models.generation import Sampling, draw
from headwater.objectives import ImageGeneration
from headwater.objectives.image_generation import drawn_codes
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

PATCHES = Patches(rows=3, columns=3, side=2, channels=1, mean=(0.5,), deviation=(0.25,))


def pixels(count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (count, 6, 6, 1), dtype=np.uint8) * 255


@pytest.fixture(scope="module")
def coded() -> CodedPatches:
    return CodedPatches.learnt(PATCHES, PATCHES.patched(pixels()), seed=0)


@pytest.fixture(scope="module")
def model(coded: CodedPatches) -> Any:
    settings = decoder_settings("nano", coded.vocabulary_size)
    return build_model(settings, head="next_token", seed=0).eval()


def test_sixteen_patches_are_told_apart_and_come_back(coded: CodedPatches) -> None:
    inputs, layout = coded.sequences(pixels())
    assert inputs.shape == (40, 10)
    assert layout.uniform
    assert (inputs[:, 0] == coded.beginning).all()
    assert np.array_equal(
        coded.pixels(coded.decoded(inputs[:, 1:])), pixels()
    )  # 2⁴ patches, all of them typical


def test_codes_are_kept_beside_the_patches(coded: CodedPatches, tmp_path: Path) -> None:
    coded.save(tmp_path)
    again = CodedPatches.load_coded(tmp_path)
    assert again.digest == coded.digest
    assert np.array_equal(again.centres, coded.centres)
    np.save(tmp_path / "codes.npy", np.zeros((4, 5), np.float32))
    with pytest.raises(BadDataError, match="a patch has 4 numbers"):
        CodedPatches.load_coded(tmp_path)
    assert not issubclass(Patches, CodedPatches)


@torch.no_grad()
def test_the_loss_is_that_of_each_next_code(coded: CodedPatches, model: Any) -> None:
    objective = ImageGeneration(coded, PATCHES.patched(pixels()))
    batch = Batch(*coded.sequences(pixels(7)), torch.arange(7))
    task = objective.prepare(batch, Draws(0, 0, np.arange(7)))
    ours, guessed = objective.loss(model, task)
    logits = model.heads["next_token"](model.encode(batch))[:, :-1].log_softmax(-1)
    expected = -logits.gather(2, batch.inputs[:, 1:, None]).sum()
    assert ours.count == guessed.count == 63
    torch.testing.assert_close(ours.total, expected, rtol=1e-5, atol=0)
    counts = torch.bincount(coded.sequences(pixels())[0][:, 1:].flatten(), minlength=coded.beginning) + 0.5
    frequencies = -(counts / counts.sum()).log()[batch.inputs[:, 1:]].sum()
    torch.testing.assert_close(guessed.total, frequencies, rtol=1e-5, atol=0)


def test_what_is_drawn_depends_on_the_seed_alone(coded: CodedPatches, model: Any) -> None:
    some = drawn_codes(model, coded, 5, Sampling(temperature=1.0, top_p=0.95, seed=1))
    assert some.shape == (5, 9)
    assert torch.equal(some[:3], drawn_codes(model, coded, 3, Sampling(temperature=1.0, top_p=0.95, seed=1)))
    assert not torch.equal(some, drawn_codes(model, coded, 5, Sampling(temperature=1.0, top_p=0.95, seed=2)))


@torch.no_grad()
def test_the_surest_drawing_is_that_of_whole_passes(coded: CodedPatches, model: Any) -> None:
    found = draw(model, coded.beginning, length=9, count=2, sampling=Sampling(temperature=0.0))
    tokens = torch.full((1, 1), coded.beginning)
    for _ in range(9):
        batch = Batch(tokens, SequenceLayout.dense(*tokens.shape), torch.zeros(1, dtype=torch.long))
        following = model.heads["next_token"](model.encode(batch))[:, -1].argmax(-1, keepdim=True)
        tokens = torch.cat((tokens, following), dim=1)
    assert torch.equal(found, tokens[:, 1:].expand(2, -1))
