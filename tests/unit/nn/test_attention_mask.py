import pytest
import torch

from headwater.errors import SettingsError
from headwater.nn.attention import AttentionMask


def allowed(mask: AttentionMask, queries: list[int], keys: list[int]) -> list[list[bool]]:
    return mask.allows(torch.tensor(queries)[:, None], torch.tensor(keys)).tolist()


def test_without_settings_every_key_is_allowed():
    assert allowed(AttentionMask(), [0, 9], [0, 5, 9]) == [[True, True, True]] * 2


def test_causal_hides_later_positions_whatever_their_row():
    assert allowed(AttentionMask(causal=True), [5], [7, 5, 3]) == [[False, True, True]]


def test_a_window_of_65_reaches_64_tokens_to_both_sides():
    assert allowed(AttentionMask(window=65), [100], [35, 36, 164, 165]) == [[False, True, True, False]]


def test_a_window_of_one_reads_only_itself():
    assert allowed(AttentionMask(causal=True, window=1), [4], [3, 4, 5]) == [[False, True, False]]


def test_a_window_of_nothing_is_refused():
    with pytest.raises(SettingsError, match="window=0 lets a query read nothing"):
        AttentionMask(window=0)
