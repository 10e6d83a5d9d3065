"""Low-rank adapters: nothing changes at first, little is learnt, and merging changes no number."""

import pytest
import torch

from headwater.errors import SettingsError
from headwater.models import build_backbone, encoder_decoder_settings, encoder_settings
from headwater.nn.adapters import adapt, corrections, merge
from headwater.sequence import SequenceLayout
from headwater.training.optimizers import fused_rows

TOKENS = torch.arange(12).view(2, 6) + 4
LAYOUT = SequenceLayout.dense(2, 6)


def adapted(rank: int = 4) -> torch.nn.Module:
    backbone = build_backbone(encoder_settings("nano", 40), seed=0).eval()
    adapt(backbone, rank=rank, alpha=8.0, rows=dict(fused_rows(backbone)), seed=1)
    return backbone


@torch.no_grad()
def test_an_adapter_changes_nothing_before_it_has_learnt():
    plain = build_backbone(encoder_settings("nano", 40), seed=0).eval()
    torch.testing.assert_close(adapted()(TOKENS, LAYOUT), plain(TOKENS, LAYOUT), atol=1e-5, rtol=0)


def test_only_the_corrections_learn():
    backbone = adapted()
    backbone(TOKENS, LAYOUT).square().sum().backward()
    learnt = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert learnt
    assert all(".down." in name or ".up." in name for name in learnt)
    assert all(p.grad is None for p in backbone.parameters() if not p.requires_grad)
    few = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    assert few < 0.1 * sum(p.numel() for p in backbone.parameters())


@torch.no_grad()
@pytest.mark.parametrize("settings", [encoder_settings("nano", 40), encoder_decoder_settings("nano", 40)])
def test_merged_and_unmerged_give_the_same(settings: object):
    backbone = build_backbone(settings, seed=0).eval()  # pyright: ignore[reportArgumentType]
    names = set(backbone.state_dict())
    adapt(backbone, rank=4, alpha=8.0, rows=dict(fused_rows(backbone)), seed=1)
    for correction in corrections(backbone).values():
        for up in correction.up:
            up.normal_(generator=torch.Generator().manual_seed(3))
    expected = backbone(TOKENS, LAYOUT)
    merge(backbone)
    torch.testing.assert_close(backbone(TOKENS, LAYOUT), expected, atol=1e-5, rtol=0)
    assert set(backbone.state_dict()) == names


@torch.no_grad()
def test_every_projection_has_a_correction_of_its_own():
    backbone = adapted()
    correction = corrections(backbone)["blocks.0.attention.qkv"]
    assert [tuple(up.shape) for up in correction.up] == [(128, 4)] * 3
    correction.up[1].fill_(1.0)
    change = correction(torch.zeros(384, 128))
    assert change[:128].abs().max() == 0
    assert change[256:].abs().max() == 0
    torch.testing.assert_close(change[128], 2.0 * correction.down[1].sum(0))


def test_impossible_ranks_are_refused():
    with pytest.raises(SettingsError, match="rank = 0"):
        adapted(rank=0)
