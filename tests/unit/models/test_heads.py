import pytest
import torch

from headwater.errors import SettingsError
from headwater.models import HeadSettings, build_model, encoder_decoder_settings
from headwater.models.sizes import PAIR_LAYOUTS, PairLayout

WRITER = "next_token"


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_t5_alone_has_an_output_matrix_of_its_own_unless_asked(layout: PairLayout) -> None:
    settings = encoder_decoder_settings("nano", 50, layout=layout)
    usual = build_model(settings, head=WRITER, seed=0)
    asked = build_model(settings, head=WRITER, seed=0, tied=True)
    assert usual.head_settings[WRITER].tied is (layout != "t5")
    assert asked.head_settings[WRITER].tied
    assert ("heads.next_token.decoder.weight" in usual.state_dict()) is (layout == "t5")


@torch.no_grad()
def test_a_scaled_head_reads_shortened_states() -> None:
    settings = encoder_decoder_settings("nano", 50, layout="t5")
    plain, scaled = (
        build_model(settings, head=WRITER, seed=0, tied=True, scale=scale) for scale in (1.0, 0.25)
    )
    states = torch.randn(3, 128)
    torch.testing.assert_close(scaled.heads[WRITER](states), plain.heads[WRITER](0.25 * states))


@pytest.mark.parametrize(
    ("name", "scale", "reason"),
    [
        ("next_token", 0.0, "above 0"),
        ("masked_tokens", 0.5, "is for a next_token head, not for masked_tokens"),
    ],
)
def test_a_scale_that_means_nothing_is_refused(name: str, scale: float, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        HeadSettings(name=name, scale=scale)
