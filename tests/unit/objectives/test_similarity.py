"""Similarity: the written-out sum of squared errors of cosines."""

import pytest
import torch

from headwater.models import build_model, encoder_settings
from headwater.objectives import Similarity
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

FIRST = [[1, 10, 11, 2], [1, 12, 2], [1, 13, 14, 15, 2]]
SECOND = [[1, 10, 11, 2], [1, 23, 24, 2], [1, 25, 2]]
NUMBERS = [5.0, 1.0, 2.5]


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, SequenceLayout]:
    width = max(map(len, rows))
    inputs = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    return inputs, SequenceLayout.padded(torch.tensor([len(row) for row in rows]), width)


def test_the_loss_is_the_squared_error_of_each_cosine_in_units_of_the_range() -> None:
    model = build_model(encoder_settings("nano", 100), seed=0).eval()
    targets, layout = padded(SECOND)
    labels = torch.tensor(NUMBERS)
    batch = Batch(*padded(FIRST), torch.arange(3), targets=targets, target_layout=layout, labels=labels)
    objective = Similarity(low=1.0, high=5.0)
    task = objective.prepare(batch, Draws(0, 0, batch.items.numpy()))
    (term,) = objective.loss(model, task)

    def vector(tokens: list[int]) -> torch.Tensor:
        states = model.backbone(torch.tensor([tokens]), SequenceLayout.dense(1, len(tokens)))[0]
        return states.mean(0) / states.mean(0).norm()

    errors = [
        (vector(one) @ vector(other) - (number - 1.0) / 4.0) ** 2
        for one, other, number in zip(FIRST, SECOND, NUMBERS, strict=True)
    ]
    assert term.total.item() == pytest.approx(float(torch.stack(errors).sum().detach()), rel=1e-4)
    assert errors[0].item() == pytest.approx(0.0, abs=1e-9)  # equal texts are as alike as can be
    assert (term.count, task.tokens) == (3, 12 + 11)
