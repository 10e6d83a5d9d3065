"""Where an answer begins and ends: the loss against torch's, the best span against all spans tried one by one."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.data.tokenizer import Tokenizer
from headwater.models import Model, build_model, encoder_settings
from headwater.objectives import QuestionAnswering
from headwater.objectives.question_answering import best_spans, window_losses
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

CLS, SEP = 1, 2
POSSIBLE = [[0, 4, 5, 6], [0, 3, 4]]  # [CLS] and the context of each row


@pytest.fixture(scope="module")
def objective() -> QuestionAnswering:
    return QuestionAnswering(Tokenizer.learn(["a few words and a few more words"] * 3, 270))


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(encoder_settings("nano", 100), head="question_answering", seed=0).eval()


def windows() -> Batch:
    inputs = torch.tensor([[CLS, 10, 11, SEP, 20, 21, 22, SEP], [CLS, 12, SEP, 23, 24, SEP, 0, 0]])
    layout = SequenceLayout.padded(torch.tensor([8, 6]), 8)
    return Batch(inputs, layout, torch.arange(2), labels=torch.tensor([[4, 6], [0, 0]]))


def test_only_the_context_and_cls_can_be_answers(objective: QuestionAnswering, model: Model) -> None:
    scores = objective.scores(model, windows())
    for row, possible in enumerate(POSSIBLE):
        for border in (0, 1):
            finite = torch.isfinite(scores[row, :, border]).nonzero().flatten()
            assert finite.tolist() == possible
    assert scores.exp().sum(dim=1).flatten().tolist() == pytest.approx([1.0] * 4, abs=1e-5)


def test_the_loss_is_torchs_cross_entropy_over_what_can_be_an_answer(
    objective: QuestionAnswering, model: Model
) -> None:
    batch = windows()
    logits = model.heads["question_answering"](model.encode(batch))
    expected = 0.0
    assert batch.labels is not None
    for row, possible in enumerate(POSSIBLE):
        for border in (0, 1):
            target = torch.tensor(possible.index(int(batch.labels[row, border])))
            expected += 0.5 * F.cross_entropy(logits[row, possible, border], target).item()
    (term,) = objective.loss(model, objective.prepare(batch, Draws(0, 0, [0, 1])))
    assert term.count == 2
    assert term.total.item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_before_training_is_that_of_guessing(objective: QuestionAnswering, model: Model) -> None:
    (term,) = objective.loss(model, objective.prepare(windows(), Draws(0, 0, [0, 1])))
    assert term.total.item() == pytest.approx(math.log(4) + math.log(3), rel=0.3)


def test_a_question_gets_gradients_though_no_answer_stands_in_it(objective: QuestionAnswering) -> None:
    model = build_model(encoder_settings("nano", 100), head="question_answering", seed=0)
    (term,) = objective.loss(model, objective.prepare(windows(), Draws(0, 0, [0, 1])))
    term.total.backward()
    gradient = model.backbone.token_embedding.weight.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient[[10, 11, 20, 21]].abs().sum(dim=1).min() > 0


@given(st.integers(2, 12), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_best_span_is_the_best_of_all_spans_tried(length: int, most: int, seed: int) -> None:
    scores = torch.randn(3, length, 2, generator=torch.Generator().manual_seed(seed)).log_softmax(dim=1)
    found = best_spans(scores, most)
    for row in range(3):
        tried = {
            (first, last): float(scores[row, first, 0] + scores[row, last, 1])
            for first in range(1, length)
            for last in range(first, min(first + most, length))
        }
        assert found[row, 2].item() == pytest.approx(max(tried.values()), abs=1e-6)
        assert tried[int(found[row, 0]), int(found[row, 1])] == pytest.approx(max(tried.values()), abs=1e-6)
        assert found[row, 3].item() == pytest.approx(float(scores[row, 0].sum()), abs=1e-6)


def test_a_right_window_is_one_whose_two_borders_are_found() -> None:
    scores = torch.full((2, 4, 2), -9.0)
    scores[0, 1, 0] = scores[0, 2, 1] = scores[1, 1, 0] = scores[1, 3, 1] = 0.0
    losses = window_losses(scores, torch.tensor([[1, 2], [1, 2]]))
    assert losses.tolist() == [0.0, 4.5]
