from typing import Any

import pytest
import torch

from headwater.errors import SettingsError, UsageError
from headwater.nn.attention import Attend, AttentionInputs, AttentionMask, KeyValueCache, MultiHeadAttention
from headwater.nn.positions import Rotary
from headwater.nn.shared_layout import share
from headwater.sequence import SequenceLayout


def test_one_matrix_holds_query_rows_then_key_rows_then_value_rows():
    layer = MultiHeadAttention(12, 4, num_key_value_heads=2, head_dim=5, mask=AttentionMask())
    assert layer.qkv.weight.shape == (4 * 5 + 2 * 5 + 2 * 5, 12)
    assert layer.out.weight.shape == (12, 4 * 5)
    assert sorted(layer.state_dict()) == ["out.weight", "qkv.weight"]


def test_value_rows_alone_decide_what_a_single_token_gives():
    layer = MultiHeadAttention(8, 2, mask=AttentionMask(causal=True))
    states = torch.randn(1, 1, 8)
    expected = states @ layer.qkv.weight[16:].T @ layer.out.weight.T
    torch.testing.assert_close(layer(states, SequenceLayout.dense(1, 1)), expected)


@torch.no_grad()
def test_a_scale_takes_the_place_of_the_usual_one():
    plain, scaled = (MultiHeadAttention(8, 2, mask=AttentionMask(), scale=scale) for scale in (None, 1.0))
    scaled.load_state_dict(plain.state_dict())
    states, layout = torch.randn(1, 5, 8), SequenceLayout.dense(1, 5)
    assert not torch.allclose(scaled(states, layout), plain(states, layout))
    scaled.qkv.weight[:8] /= 2.0  # √D = 2: shorter queries give the usual scores
    torch.testing.assert_close(scaled(states, layout), plain(states, layout))


def test_memory_without_its_layout_is_refused():
    layer = MultiHeadAttention(8, 2, mask=AttentionMask())
    with pytest.raises(UsageError, match="belong together"):
        layer(torch.randn(1, 2, 8), SequenceLayout.dense(1, 2), memory=torch.randn(1, 3, 8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_heads": 5}, "num_heads=5 does not divide width=12; choose one of 1, 2, 3, 4, 6"),
        ({"num_heads": 4, "num_key_value_heads": 3}, "num_key_value_heads=3 does not divide num_heads=4"),
        ({"num_heads": 3, "rotary": Rotary(8)}, r"build them with Rotary\(head_dim=4\)"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(SettingsError, match=message):
        MultiHeadAttention(12, mask=AttentionMask(), **settings)


class ReadsNothing(Attend):
    def forward(self, inputs: AttentionInputs) -> torch.Tensor:
        return torch.zeros_like(inputs.query)


def test_analysis_can_put_another_module_in_place_of_attend():
    layer = MultiHeadAttention(8, 2, mask=AttentionMask())
    layer.attend = ReadsNothing()
    assert layer(torch.randn(1, 3, 8), SequenceLayout.dense(1, 3)).abs().max() == 0


def test_a_cache_refuses_gradients():
    layer, cache = MultiHeadAttention(8, 2, mask=AttentionMask(causal=True)), KeyValueCache(1, 4, 2, 4)
    with pytest.raises(UsageError, match="no_grad"):
        layer(torch.randn(1, 2, 8), SequenceLayout.dense(1, 2), cache=cache)


@torch.no_grad()
def test_a_full_cache_says_how_much_it_holds():
    cache = KeyValueCache(1, 4, 2, 4)
    key = torch.randn(1, 3, 2, 4)
    cache.append(key, key, SequenceLayout.dense(1, 3))
    with pytest.raises(UsageError, match="holds 3 of 4 tokens a row and cannot take 3 more"):
        cache.append(key, key, SequenceLayout.dense(1, 3))


@torch.no_grad()
def test_the_caches_of_a_stack_give_one_layout_within_a_pass():
    company = object()
    first, second = (KeyValueCache(2, 4, 1, 2, company=company) for _ in range(2))
    alone = KeyValueCache(2, 4, 1, 2)
    key = torch.randn(2, 1, 1, 2)
    passes = [share(SequenceLayout.dense(2, 1, start=step)) for step in range(3)]
    layouts = [[cache.append(key, key, layout)[2] for cache in (first, second, alone)] for layout in passes]
    assert layouts[1][0] is layouts[1][1]  # its mask is then made once
    assert layouts[1][0] is not layouts[1][2]
    assert layouts[2][0].positions.tolist() == [[0, 1, 2]] * 2
    assert layouts[1][0].positions.tolist() == [[0, 1]] * 2


@torch.no_grad()
def test_beams_go_on_with_the_rows_selected():
    cache = KeyValueCache(3, 4, 1, 2)
    key = torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 2, 1, 2)
    cache.append(key, -key, SequenceLayout.dense(3, 2))
    cache.select(torch.tensor([2, 2, 0]))
    keys, values, layout = cache.held(SequenceLayout.dense(1, 1))
    assert keys[:, 0, 0, 0].tolist() == [2.0, 2.0, 0.0]
    assert values[:, 1, 0, 1].tolist() == [-2.0, -2.0, 0.0]
    assert layout.positions.tolist() == [[0, 1]] * 3
