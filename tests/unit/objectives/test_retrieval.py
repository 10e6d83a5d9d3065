"""The contrast of queries and passages: the written-out sum, and who is no negative of whom."""

import math
from collections.abc import Sequence

import pytest
import torch

from headwater.models import Model, build_model, encoder_settings
from headwater.objectives import Retrieval
from headwater.objectives.retrieval import TEMPERATURE
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(encoder_settings("nano", 100), seed=0).eval()


def padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, SequenceLayout]:
    width = max(map(len, rows))
    inputs = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    return inputs, SequenceLayout.padded(torch.tensor([len(row) for row in rows]), width)


def pairs(
    queries: Sequence[Sequence[int]], passages: Sequence[Sequence[int]], numbers: Sequence[int]
) -> Batch:
    targets, layout = padded(passages)
    return Batch(
        *padded(queries),
        torch.arange(len(queries)),
        targets=targets,
        target_layout=layout,
        labels=torch.tensor(numbers),
    )


QUERIES = [[1, 10, 11, 2], [1, 12, 2], [1, 13, 14, 15, 2]]
FOUND = [[1, 20, 21, 22, 2], [1, 23, 24, 2], [1, 25, 2]]


def loss(model: Model, batch: Batch) -> float:
    objective = Retrieval()
    (term,) = objective.loss(model, objective.prepare(batch, Draws(0, 0, batch.items.numpy())))
    assert term.count == len(batch.items)
    return term.total.item() / term.count


def vector(model: Model, tokens: list[int]) -> torch.Tensor:
    """The mean of a text's last hidden states, of length 1; read alone, without padding."""
    with torch.no_grad():
        states = model.backbone(torch.tensor([tokens]), SequenceLayout.dense(1, len(tokens)))[0]
    return states.mean(0) / states.mean(0).norm()


def written_out(model: Model, rivals: dict[int, list[int]]) -> float:
    """½ (-log p(passage | query) - log p(query | passage)), the mean over rows; ``rivals`` of each row."""
    asked, found = [vector(model, row) for row in QUERIES], [vector(model, row) for row in FOUND]
    total = 0.0
    for row, others in rivals.items():
        own = math.exp(asked[row] @ found[row] / TEMPERATURE)
        passages = own + sum(math.exp(asked[row] @ found[other] / TEMPERATURE) for other in others)
        queries = own + sum(math.exp(found[row] @ asked[other] / TEMPERATURE) for other in others)
        total -= (math.log(own / passages) + math.log(own / queries)) / 2
    return total / len(rivals)


def test_the_loss_is_the_sum_written_out(model: Model) -> None:
    everyone = {0: [1, 2], 1: [0, 2], 2: [0, 1]}
    assert loss(model, pairs(QUERIES, FOUND, [0, 1, 2])) == pytest.approx(
        written_out(model, everyone), abs=1e-5
    )


def test_rows_of_one_passage_are_no_negatives_of_each_other(model: Model) -> None:
    apart = {0: [2], 1: [2], 2: [0, 1]}
    found = loss(model, pairs(QUERIES, FOUND, [7, 7, 3]))
    assert found == pytest.approx(written_out(model, apart), abs=1e-5)
    assert found < loss(model, pairs(QUERIES, FOUND, [0, 1, 2]))


def test_rows_of_one_query_are_no_negatives_of_each_other(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [QUERIES[0], QUERIES[1], QUERIES[0]]
    monkeypatch.setitem(globals(), "QUERIES", asked)
    assert loss(model, pairs(asked, FOUND, [0, 1, 2])) == pytest.approx(
        written_out(model, {0: [1], 1: [0, 2], 2: [1]}), abs=1e-5
    )


def test_a_batch_of_one_passage_teaches_nothing(model: Model) -> None:
    assert loss(model, pairs(QUERIES, [FOUND[0]] * 3, [5, 5, 5])) == pytest.approx(0.0, abs=1e-6)


def test_both_sides_get_a_gradient(model: Model) -> None:
    fresh = build_model(encoder_settings("nano", 100), seed=0)
    objective = Retrieval()
    batch = pairs(QUERIES, FOUND, [0, 1, 2])
    (term,) = objective.loss(fresh, objective.prepare(batch, Draws(0, 0, [0, 1, 2])))
    term.total.backward()
    gradient = fresh.backbone.token_embedding.weight.grad
    assert gradient is not None
    assert gradient[[10, 12, 20, 25]].abs().sum(dim=1).min() > 0
