import pytest

from headwater.errors import SettingsError
from headwater.models import (
    SIZES,
    ConvolutionalSettings,
    RecurrentSettings,
    body_parameters,
    encoder_settings,
    matched_settings,
)
from headwater.models.sizes import BaselineKind


@pytest.mark.parametrize("size", ["nano", "tiny", "small", "base"])
@pytest.mark.parametrize("kind", ["recurrent", "convolutional"])
def test_a_baseline_has_the_transformers_parameters_within_five_percent(
    size: str, kind: BaselineKind
) -> None:
    transformer = encoder_settings(size, 4096)
    target = body_parameters(transformer)
    baseline = matched_settings(target, kind, 4096, width=transformer.width)
    assert body_parameters(baseline) == pytest.approx(target, rel=0.05)
    assert baseline.width == transformer.width


def test_without_a_width_the_nearest_size_lends_its_own() -> None:
    for size in ("tiny", "small"):
        target = body_parameters(encoder_settings(size, 4096))
        assert matched_settings(target, "recurrent", 4096).width == SIZES[size].width


def test_baselines_of_a_decoder_read_the_past() -> None:
    recurrent = matched_settings(3_000_000, "recurrent", 4096, causal=True)
    convolutional = matched_settings(3_000_000, "convolutional", 4096, causal=True)
    assert isinstance(recurrent, RecurrentSettings)
    assert isinstance(convolutional, ConvolutionalSettings)
    assert not recurrent.bidirectional
    assert convolutional.causal


def test_a_baseline_that_cannot_be_matched_is_refused() -> None:
    with pytest.raises(SettingsError, match="give another width or depth"):
        matched_settings(1000, "recurrent", 4096, width=512)


def test_an_unknown_size_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'small'"):
        encoder_settings("smal", 4096)
