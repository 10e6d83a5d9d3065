"""Directions of labels: the loss is the equation, and training brings fellows together."""

import pytest
import torch

from headwater.errors import SettingsError
from headwater.models import build_model, encoder_settings
from headwater.objectives import LabelledRetrieval
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout


def rows(labels: list[int]) -> Batch:
    inputs = torch.arange(len(labels) * 6).view(len(labels), 6) % 90 + 4
    layout = SequenceLayout.padded(torch.tensor([6, 4, 5, 3][: len(labels)]), 6)
    return Batch(inputs, layout, torch.arange(len(labels)), labels=torch.tensor(labels))


def test_the_loss_is_the_softmax_of_cosines_over_the_temperature() -> None:
    model = build_model(encoder_settings("nano", 100), seed=0).eval()
    objective, batch = LabelledRetrieval(3, model.backbone.width), rows([0, 2, 1, 0])
    (term,) = objective.loss(model, objective.prepare(batch, Draws(0, 0, [0, 1, 2, 3])))
    expected, right = 0.0, 0
    states = model.encode(batch)
    for row, (length, label) in enumerate(zip([6, 4, 5, 3], [0, 2, 1, 0], strict=True)):
        vector = states[row, :length].mean(dim=0)
        scores = [
            torch.cosine_similarity(vector, direction, dim=0) / 0.05
            for direction in objective.directions.weight
        ]
        expected -= torch.stack(scores).log_softmax(dim=0)[label].item()
        right += int(torch.stack(scores).argmax()) == label
    assert term.total.item() == pytest.approx(expected, rel=1e-5)
    assert term.count == 4
    assert term.right is not None
    assert int(term.right) == right


def test_steps_bring_vectors_of_a_label_together() -> None:
    model = build_model(encoder_settings("nano", 100), seed=0)
    objective, batch = LabelledRetrieval(2, model.backbone.width), rows([0, 1, 0, 1])
    optimizer = torch.optim.AdamW([*model.parameters(), *objective.parameters()], lr=1e-3)

    @torch.no_grad()
    def apart() -> float:
        vectors = objective.pooling(model.encode(batch), batch.layout)
        first, second, third, fourth = torch.nn.functional.normalize(vectors, dim=-1)
        return float(first @ third + second @ fourth - first @ second - third @ fourth)

    before = apart()
    for _ in range(20):
        optimizer.zero_grad()
        (term,) = objective.loss(model, objective.prepare(batch, Draws(0, 0, [0, 1, 2, 3])))
        term.total.backward()
        optimizer.step()
    assert apart() > before + 0.5


def test_one_label_tells_nothing_apart() -> None:
    with pytest.raises(SettingsError, match="at least two labels"):
        LabelledRetrieval(1, 8)
