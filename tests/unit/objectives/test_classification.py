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


def test_probabilities_of_every_row_sum_to_one() -> None:
    model = build_model(encoder_settings("nano", 100), head="classification", seed=0, classes=3).eval()
    scores = Classification(["a", "b", "c"]).scores(model, rows([0, 1, 2, 0]))
    assert scores.shape == (4, 3)
    assert scores.sum(dim=1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)


def test_the_loss_before_training_is_that_of_guessing() -> None:
    model = build_model(encoder_settings("nano", 100), head="classification", seed=0, classes=3).eval()
    objective, batch = Classification(["a", "b", "c"]), rows([0, 1, 2, 0])
    (term,) = objective.loss(model, objective.prepare(batch, Draws(0, 0, [0, 1, 2, 3])))
    assert term.count == 4
    assert term.total.item() / 4 == pytest.approx(math.log(3), rel=0.2)


def test_one_label_is_no_task() -> None:
    with pytest.raises(SettingsError, match="at least two labels"):
        Classification(["only"])
