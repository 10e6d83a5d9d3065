"""What is said of the old data after training on new data."""

import numpy as np
import pytest

from headwater.evaluation.forgetting import forgetting


def test_a_loss_that_rose_in_every_batch_is_called_forgetting_and_comes_with_a_remedy() -> None:
    before = [3.0, 4.0, 3.5, 4.5]
    found = forgetting(before, [loss + 0.25 for loss in before])
    assert found.change.value == pytest.approx(0.25)
    assert "forgot" in found.sentence
    assert "name the old data beside the new" in found.sentence


def test_a_loss_that_fell_is_not_forgetting() -> None:
    found = forgetting([3.0, 4.0, 3.5], [2.9, 3.8, 3.3])
    assert found.change.high < 0
    assert found.sentence.startswith("Nothing was forgotten: ")


def test_noise_is_not_called_forgetting() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(4.0, 0.3, size=32)
    found = forgetting(list(before), list(before + rng.normal(0.0, 0.1, size=32)))
    assert found.change.low < 0 < found.change.high
    assert "that can be shown" in found.sentence


def test_batches_are_compared_with_themselves_so_their_own_spread_does_not_widen_the_interval() -> None:
    before = [1.0, 9.0, 5.0, 2.0]
    found = forgetting(before, [loss + 0.01 for loss in before])
    assert found.change.high - found.change.low < 1e-6
