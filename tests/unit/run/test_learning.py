"""What the loop takes, made from settings."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from headwater.data.kinds import Learnt
from headwater.data.sequencers import CodedPatches, Sides
from headwater.data.sequencers.patches import Film, Patches
from headwater.data.tokenizer import Tokenizer
from headwater.models import PatchSettings, build_model, picture_settings
from headwater.models.tower_sizes import two_tower_settings
from headwater.objectives import Objective
from headwater.randomness import Draws
from headwater.run.choosing_model import chosen_settings, pretraining_model
from headwater.run.choosing_objective import PRETEXT_OBJECTIVES, Given, Pretext
from headwater.run.learning import build_learner, compile_blocks
from headwater.run.settings import MachineSettings, ModelSettings, ObjectiveSettings, TrainingSettings
from headwater.sequence import Batch, SequenceLayout

PATCHES = Patches(rows=4, columns=4, side=2, channels=3, mean=(0.5,) * 3, deviation=(0.25,) * 3)
STRIPS = Patches(
    rows=8, columns=4, side=2, channels=6, mean=(0.5,) * 6, deviation=(0.25,) * 6, film=Film(2, 0.0)
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(["a few words"] * 3, 262)


TASKS = [(modality, name) for modality, known in PRETEXT_OBJECTIVES.items() for name in known]
READ_AT_ONCE = [
    task
    for task in TASKS
    if (task[0] != "text" and task[1] != "image_generation") or task[1] == "sentence_contrast"
]
"""Those that ask for no number on the way, so that the meta device can follow them."""


def built(tokenizer: Tokenizer, modality: Learnt, name: str) -> tuple[Any, Objective]:
    pretext = Pretext({name: 1.0}, modality)
    cut: Patches | Sides = STRIPS if modality == "video" else PATCHES
    if modality == "pairs":
        cut = Sides(PATCHES, tokenizer)
        shape = PatchSettings(rows=4, columns=4, side=2, channels=3)
        model = build_model(two_tower_settings("nano", shape, tokenizer.size, text_length=8), seed=0)
    elif name == "image_generation":
        cut = CodedPatches.learnt(PATCHES, torch.randn(20, 16, 12), seed=0)
        settings = ModelSettings(size="nano")
        decoder = chosen_settings(settings, cut.vocabulary_size, needs=pretext.needs, length=17)
        model = build_model(decoder, head=pretext.head, seed=0)
    elif modality != "text":
        assert isinstance(cut, Patches)
        patches = PatchSettings(rows=cut.rows, columns=4, side=2, channels=cut.channels, slices=cut.slices)
        model = build_model(picture_settings("nano", patches), seed=0)
    else:
        model = pretraining_model(ModelSettings(size="nano"), tokenizer, pretext, length=64, seed=0)
    sequencer = tokenizer if modality == "text" else cut
    objective = pretext.build(
        Given(sequencer, ObjectiveSettings(name=name), model, 0, lambda: torch.randn(20, 16, 12))
    )
    return model, objective


def example(tokenizer: Tokenizer, modality: Learnt) -> Batch:
    rng, rows = np.random.default_rng(0), 6
    words = torch.from_numpy(rng.integers(5, tokenizer.size, (rows, 8)))
    if modality == "text":
        return Batch(words, SequenceLayout.dense(rows, 8), torch.arange(rows))
    patches = STRIPS if modality == "video" else PATCHES
    shape = (rows, patches.rows * 2, patches.columns * 2, patches.channels)
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    batch = Batch(*patches.sequences(pixels), torch.arange(rows))
    if modality != "pairs":
        return batch
    numbers = torch.arange(rows)[:, None].expand(-1, 2)
    return replace(batch, targets=words, target_layout=SequenceLayout.dense(rows, 8), labels=numbers)


@pytest.mark.parametrize(("modality", "name"), TASKS)
def test_what_an_objective_owns_is_on_the_models_device(
    tokenizer: Tokenizer, modality: Learnt, name: str
) -> None:
    model, objective = built(tokenizer, modality, name)
    learner = build_learner(model.to("meta"), objective, TrainingSettings())
    tensors = [*learner.parameters, *objective.parameters(), *objective.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.parametrize(("modality", "name"), READ_AT_ONCE)
def test_a_loss_is_taken_on_the_models_device(tokenizer: Tokenizer, modality: Learnt, name: str) -> None:
    model, objective = built(tokenizer, modality, name)
    batch = example(tokenizer, modality)
    task = objective.prepare(batch, Draws(0, 0, batch.items.numpy()))
    build_learner(model.to("meta"), objective, TrainingSettings())
    terms = objective.loss(model, task.to(torch.device("meta")))
    assert {term.total.device.type for term in terms} == {"meta"}


def test_blocks_are_compiled_where_the_settings_say_so(tokenizer: Tokenizer) -> None:
    pretext = Pretext.named("masked_tokens")
    model = pretraining_model(ModelSettings(size="nano"), tokenizer, pretext, length=64, seed=0)
    names = set(model.state_dict())
    compile_blocks(model, MachineSettings(compile=False))
    assert not any(part._compiled_call_impl for part in model.modules())
    compile_blocks(model, MachineSettings(compile=True))
    compiled = [name for name, part in model.named_modules() if part._compiled_call_impl]
    assert compiled == ["backbone.blocks.0", "backbone.blocks.1"]
    assert set(model.state_dict()) == names


def test_muon_makes_each_of_the_projections_in_one_matrix_orthogonal(tokenizer: Tokenizer) -> None:
    _, objective = built(tokenizer, "text", "masked_tokens")
    model = pretraining_model(
        ModelSettings(size="nano"), tokenizer, Pretext.named("masked_tokens"), length=16, seed=0
    )
    optimizer = build_learner(model, objective, TrainingSettings(optimizer="muon")).optimizer
    splits = {tuple(group["row_splits"]) for group in optimizer.param_groups if group.get("row_splits")}
    assert splits == {(128, 128, 128), (320, 320)}
