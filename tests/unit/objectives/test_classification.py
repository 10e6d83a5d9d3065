"""Classification answers in the user's own labels."""

import math

import pytest
import torch

from headwater.errors import SettingsError
from headwater.models import build_model, encoder_settings
from headwater.objectives import Classification
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout


def rows(labels: list[int]) -> Batch:
    inputs = torch.arange(len(labels) * 6).view(len(labels), 6) % 90 + 4
    layout = SequenceLayout.padded(torch.tensor([6, 4, 5, 3][: len(labels)]), 6)
    return Batch(inputs, layout, torch.arange(len(labels)), labels=torch.tensor(labels))


def test_probabilities_sum_to_one_and_the_label_is_the_most_probable() -> None:
    model = build_model(encoder_settings("nano", 100), head="classification", seed=0, classes=3).eval()
    for row in Classification(["a", "b", "c"]).predict(model, rows([0, 1, 2, 0])):
        assert sum(row.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
        assert row.label == max(row.probabilities, key=lambda name: row.probabilities[name])


def test_the_loss_before_training_is_that_of_guessing() -> None:
    model = build_model(encoder_settings("nano", 100), head="classification", seed=0, classes=3).eval()
    objective, batch = Classification(["a", "b", "c"]), rows([0, 1, 2, 0])
    (term,) = objective.loss(model, objective.prepare(batch, Draws(0, 0, [0, 1, 2, 3])))
    assert term.count == 4
    assert term.total.item() / 4 == pytest.approx(math.log(3), rel=0.2)


def test_one_label_is_no_task() -> None:
    with pytest.raises(SettingsError, match="at least two labels"):
        Classification(["only"])
