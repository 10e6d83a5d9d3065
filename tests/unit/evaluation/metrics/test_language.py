"""Surprise in several units."""

import numpy as np
import pytest

from headwater.errors import BadDataError
from headwater.evaluation.metrics.language import language_report


def test_one_surprise_in_four_units():
    texts = ["abcd", "山水", "ef"]
    found = language_report([4.0, 6.0, 2.0], [2, 3, 1], texts)
    assert (found.documents, found.tokens, found.characters) == (3, 6, 8)
    assert found.nats_per_token.value == pytest.approx(12 / 6)
    assert found.perplexity.value == pytest.approx(np.exp(2.0))
    assert found.nats_per_character.value == pytest.approx(12 / 8)
    assert found.bits_per_byte.value == pytest.approx(
        12 / np.log(2) / 12
    )  # a Chinese character has three bytes
    assert found.perplexity.low == pytest.approx(np.exp(found.nats_per_token.low))
    assert found.nats_per_character.low < 1.5 < found.nats_per_character.high


def test_no_document_is_an_error():
    with pytest.raises(BadDataError, match="no document"):
        language_report([], [], [])
