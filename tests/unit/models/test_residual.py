"""The residual network of pictures: the size of a Transformer, a vector a patch, the cost that torch counts."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from headwater.errors import SettingsError
from headwater.models import (
    PatchSettings,
    ResidualSettings,
    body_parameters,
    build_backbone,
    cost_of,
    matched_settings,
    picture_settings,
)
from headwater.models.residual import ResidualBackbone
from headwater.models.sizes import BaselineKind
from headwater.sequence import SequenceLayout

SHAPES = [
    PatchSettings(rows=8, columns=8, side=4, channels=3),
    PatchSettings(rows=7, columns=7, side=4, channels=1),
    PatchSettings(rows=2, columns=2, side=16, channels=3),
    PatchSettings(rows=3, columns=3, side=5, channels=1),
    PatchSettings(rows=4, columns=4, side=2, channels=1),
]


def settings_of(shape: PatchSettings, hidden: int = 8) -> ResidualSettings:
    return ResidualSettings(
        vocabulary_size=0, pad_token=None, width=32, depth=2, hidden_width=hidden, patches=shape
    )


def read(backbone: torch.nn.Module, shape: PatchSettings, count: int = 2) -> torch.Tensor:
    torch.manual_seed(0)
    patches = torch.randn(count, shape.count + 1, shape.features)
    return backbone(patches, SequenceLayout.dense(count, shape.count + 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_patch_has_a_vector(shape: PatchSettings) -> None:
    assert read(build_backbone(settings_of(shape), seed=0), shape).shape == (2, shape.count + 1, 32)


@pytest.mark.parametrize("shape", SHAPES)
def test_its_operations_are_those_that_torch_counts(shape: PatchSettings) -> None:
    settings = settings_of(shape)
    with FlopCounterMode(display=False) as counter:
        read(build_backbone(settings, seed=0), shape, count=1)
    expected = cost_of(settings, length=shape.count + 1).forward_flops
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES[:3])
@pytest.mark.parametrize("kind", ["recurrent", "convolutional"])
def test_baselines_have_the_parameters_of_the_transformer(shape: PatchSettings, kind: BaselineKind) -> None:
    transformer = picture_settings("nano", shape)
    target = body_parameters(transformer)
    found = matched_settings(target, kind, 0, width=transformer.width, patches=shape)
    assert body_parameters(found) == pytest.approx(target, rel=0.05)
    assert read(build_backbone(found, seed=0), shape).isfinite().all()


def test_patches_stand_where_they_stood_in_the_picture() -> None:
    """The stem sees what a convolution of the whole picture sees: moving a pixel over a border moves the answer."""
    shape = SHAPES[0]
    backbone = build_backbone(settings_of(shape), seed=0)
    assert isinstance(backbone, ResidualBackbone)
    picture = torch.randn(1, 3, 32, 32)
    squares = F.unfold(picture, 4, stride=4).transpose(
        1, 2
    )  # (1, 64, 48), numbers in the order channel, line, column
    joined = backbone._joined(squares)  # pyright: ignore[reportPrivateUsage]
    assert torch.equal(joined, picture)


def test_a_picture_does_not_depend_on_its_batch() -> None:
    shape = SHAPES[0]
    backbone = build_backbone(settings_of(shape), seed=0)
    assert torch.allclose(read(backbone, shape)[:1], read(backbone, shape, count=2)[:1], atol=1e-6)


def test_it_reads_pictures_alone() -> None:
    with pytest.raises(SettingsError, match="give patches"):
        ResidualSettings(vocabulary_size=10, width=32, depth=2, hidden_width=8)
    with pytest.raises(SettingsError, match="no table of tokens"):
        _ = build_backbone(settings_of(SHAPES[0])).token_embedding
