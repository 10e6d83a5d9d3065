"""Chunked cross-entropy equals the whole one, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from headwater.objectives import cross_entropy
from headwater.objectives.cross_entropy import summed_cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_chunks_give_the_loss_and_gradients_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, smoothing: float
) -> None:
    torch.manual_seed(0)
    output = torch.nn.Linear(8, 50)
    targets = torch.randint(0, 50, (33,))
    gradients: list[torch.Tensor] = []
    losses: list[torch.Tensor] = []
    for chunk in (10**9, 50 * 4):  # everything at once; four positions at a time
        monkeypatch.setattr(cross_entropy, "CHUNK_LOGITS", chunk)
        hidden = torch.linspace(-1, 1, 33 * 8).view(33, 8).requires_grad_()
        output.zero_grad()
        loss = summed_cross_entropy(output, hidden, targets, vocabulary_size=50, label_smoothing=smoothing)
        loss.backward()
        assert hidden.grad is not None
        losses.append(loss.detach())
        gradients.append(hidden.grad)
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(gradients[1], gradients[0])
    expected = F.cross_entropy(output(hidden), targets, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(losses[0], expected)


def test_no_position_costs_nothing() -> None:
    output = torch.nn.Linear(8, 50)
    loss = summed_cross_entropy(
        output, torch.zeros(0, 8), torch.zeros(0, dtype=torch.long), vocabulary_size=50
    )
    assert loss.item() == 0.0
