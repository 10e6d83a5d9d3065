"""What every pretext task of texts has in common, and what makes each of them itself."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from headwater.data.tokenizer import Tokenizer
from headwater.models import (
    Model,
    build_model,
    electra_settings,
    encoder_decoder_settings,
    encoder_settings,
)
from headwater.objectives import (
    Denoising,
    MaskedTokens,
    Mixed,
    NextSentence,
    Objective,
    ReplacedToken,
    SelfDistillation,
    SentenceContrast,
    SentenceOrder,
    SpanCorruption,
    Task,
)
from headwater.objectives.replaced_token import ReplacedTask
from headwater.objectives.rewriting import content_of, documents_of
from headwater.objectives.self_distillation import SelfDistillation as Distillation
from headwater.objectives.span_corruption import corrupted, restored, spans
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

TEXTS = [
    "The rain came early. The boats stayed in the harbour! Was anyone surprised?",
    "A short one. Really.",
    "我们今天去公园散步。天气很好！你也来吧？",
    "words without any end that go on and on and on and on and on and on",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(TEXTS * 5, 330)


def batch_of(tokenizer: Tokenizer, rows: list[int] | None = None) -> Batch:
    chosen = list(range(len(TEXTS))) if rows is None else rows
    texts = [
        [tokenizer.cls, *tokens.tolist(), tokenizer.sep]
        for tokens in tokenizer.encode_batch([TEXTS[row] for row in chosen])
    ]
    width = max(map(len, texts))
    inputs = torch.tensor([row + [tokenizer.pad] * (width - len(row)) for row in texts])
    layout = SequenceLayout.padded(torch.tensor([len(row) for row in texts]), width)
    return Batch(inputs, layout, torch.tensor(chosen))


def encoder(tokenizer: Tokenizer) -> Model:
    return build_model(encoder_settings("nano", tokenizer.size), head="masked_tokens", seed=0)


def translator(tokenizer: Tokenizer) -> Model:
    return build_model(encoder_decoder_settings("nano", tokenizer.size), head="next_token", seed=0)


Make = Callable[[Tokenizer, Model], Objective]
ON_ENCODERS: dict[str, Make] = {
    "replaced_token": lambda t, m: ReplacedToken(t, m),
    "sentence_order": lambda t, m: SentenceOrder(t, m.backbone),
    "next_sentence": lambda t, m: NextSentence(t, m.backbone),
    "sentence_contrast": lambda t, m: SentenceContrast(t, m.backbone.width),
    "self_distillation": lambda t, m: SelfDistillation(t, m.backbone),
    "mixed": lambda t, m: Mixed(
        {
            "masked_tokens": MaskedTokens(t),
            "replaced_token": ReplacedToken(t, m),
        },
        {"masked_tokens": 1.0, "replaced_token": 0.5},
    ),
}
ON_PAIRS: dict[str, Make] = {
    "span_corruption": lambda t, m: SpanCorruption(t),
    "denoising": lambda t, m: Denoising(t),
}
ALL = [*ON_ENCODERS, *ON_PAIRS]


def made(name: str, tokenizer: Tokenizer) -> tuple[Objective, Model]:
    model = translator(tokenizer) if name in ON_PAIRS else encoder(tokenizer)
    return (ON_ENCODERS | ON_PAIRS)[name](tokenizer, model), model


def prepared(objective: Objective, batch: Batch, epoch: int = 0) -> Task:
    return objective.prepare(batch, Draws(0, epoch, batch.items.numpy()))


@pytest.mark.parametrize("name", ALL)
def test_terms_sum_as_many_units_as_were_announced(name: str, tokenizer: Tokenizer) -> None:
    objective, model = made(name, tokenizer)
    task = prepared(objective, batch_of(tokenizer))
    terms = objective.loss(model, task)
    assert {term.name: term.count for term in terms} == dict(task.counts)
    assert all(math.isfinite(float(term.total.detach())) for term in terms)
    assert all(term.count > 0 for term in terms)


@pytest.mark.parametrize("name", ALL)
def test_the_same_draws_make_the_same_task_and_another_epoch_another(name: str, tokenizer: Tokenizer) -> None:
    objective, model = made(name, tokenizer)
    model.eval()  # without dropout
    losses = [
        float(objective.loss(model, prepared(objective, batch_of(tokenizer), epoch))[-1].total.detach())
        for epoch in (0, 0, 1)
    ]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("next_sentence", "sentence_contrast")])
def test_what_is_made_of_a_text_does_not_depend_on_its_company(name: str, tokenizer: Tokenizer) -> None:
    objective, _ = made(name, tokenizer)
    together, alone = (prepared(objective, batch_of(tokenizer, rows)).batch for rows in (None, [2]))
    mine = documents_of(together)[2]
    assert mine.tolist() == documents_of(alone)[0].tolist()


@pytest.mark.parametrize("name", ALL)
def test_a_few_steps_lower_the_loss(name: str, tokenizer: Tokenizer) -> None:
    objective, model = made(name, tokenizer)
    learnt = [p for p in [*model.parameters(), *objective.parameters()] if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=3e-3)
    losses: list[float] = []
    for step in range(40):
        terms = objective.loss(model, prepared(objective, batch_of(tokenizer), step))
        loss = torch.stack([term.weight * term.total / term.count for term in terms]).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        objective.after_step(model)
        losses.append(float(loss.detach()))
    assert np.mean(losses[-8:]) < 0.95 * np.mean(losses[:4])


def test_corrupted_spans_can_be_put_back(tokenizer: Tokenizer) -> None:
    for seed in range(50):
        numbers = np.random.default_rng(seed).random((2, 40))
        content = np.arange(10, 10 + 2 + seed % 30)
        missing = spans(len(content), 0.3, 3.0, list(numbers))
        source, target = corrupted(content, missing, tokenizer)
        assert restored(source, target, tokenizer).tolist() == content.tolist()
        assert (source == tokenizer.mask).sum() == (target == tokenizer.mask).sum()


def test_as_many_tokens_are_missing_as_were_asked_for() -> None:
    shares = []
    lengths = []
    for seed in range(200):
        missing = spans(200, 0.15, 3.0, list(np.random.default_rng(seed).random((2, 200))))
        shares.append(missing.mean())
        lengths.append(missing.sum() / (np.diff(missing.astype(int), prepend=0) == 1).sum())
    assert np.mean(shares) == pytest.approx(0.15, abs=0.001)
    assert np.mean(lengths) == pytest.approx(3.0, abs=0.05)


def test_a_noisy_text_loses_its_share_and_its_target_is_the_text(tokenizer: Tokenizer) -> None:
    objective, batch = Denoising(tokenizer), batch_of(tokenizer)
    lost: list[float] = []
    for epoch in range(100):
        task = prepared(objective, batch, epoch)
        assert task.batch.targets is not None
        assert task.batch.target_layout is not None
        targets = documents_of(Batch(task.batch.targets, task.batch.target_layout, batch.items))
        originals = documents_of(batch)
        assert [target.tolist() for target in targets] == [original.tolist() for original in originals]
        for source, original in zip(documents_of(task.batch), originals, strict=True):
            kept, whole = content_of(source, tokenizer), content_of(original, tokenizer)
            assert set(kept) <= set(whole)
            lost.append(1 - len(kept) / len(whole))
    assert np.mean(lost) == pytest.approx(0.35, abs=0.07)  # the last stretch may go beyond the share


def test_sentences_come_in_another_order(tokenizer: Tokenizer) -> None:
    objective = Denoising(tokenizer, share=0.01)
    first = content_of(documents_of(batch_of(tokenizer))[0], tokenizer)
    seen = set()
    for epoch in range(60):
        source = documents_of(prepared(objective, batch_of(tokenizer), epoch).batch)[0]
        seen.add(tokenizer.decode(content_of(source, tokenizer)).split(".")[0][:8])
    assert len(seen) > 2
    assert len(first) > 0


def test_halves_are_exchanged_half_of_the_time_and_only_then(tokenizer: Tokenizer) -> None:
    objective, _ = made("sentence_order", tokenizer)
    answers: list[int] = []
    for epoch in range(100):
        task = prepared(objective, batch_of(tokenizer), epoch)
        assert task.batch.labels is not None
        text = tokenizer.decode(content_of(documents_of(task.batch)[0], tokenizer))
        answer = int(task.batch.labels[0])
        assert text.startswith("The rain") == (answer == 0)
        answers.append(answer)
    assert np.mean(answers) == pytest.approx(0.5, abs=0.15)


def test_a_foreign_half_is_never_the_own_one(tokenizer: Tokenizer) -> None:
    objective, _ = made("next_sentence", tokenizer)
    whole = [content_of(document, tokenizer).tolist() for document in documents_of(batch_of(tokenizer))]
    for epoch in range(50):
        task = prepared(objective, batch_of(tokenizer), epoch)
        assert task.batch.labels is not None
        for document, answer, own in zip(
            documents_of(task.batch), task.batch.labels.tolist(), whole, strict=True
        ):
            assert (content_of(document, tokenizer).tolist() == own) == (answer == 0)


def test_what_the_generator_gets_right_counts_as_the_authors(tokenizer: Tokenizer) -> None:
    objective, model = made("replaced_token", tokenizer)
    task = prepared(objective, batch_of(tokenizer))
    assert isinstance(task, ReplacedTask)
    hidden = int((task.hidden == tokenizer.mask).sum())
    assert hidden == len(task.places) > 0
    *_, detection = objective.loss(model, task)
    assert detection.right is not None
    assert detection.count == int((batch_of(tokenizer).inputs > 3).sum())


def test_a_detector_that_is_shipped_is_the_models_own(tokenizer: Tokenizer) -> None:
    model = build_model(electra_settings("nano", tokenizer.size), head="replaced_token", seed=0)
    objective = ReplacedToken(tokenizer, model)
    assert {name.split(".")[0] for name, _ in objective.named_parameters()} == {"generator"}
    *_, detection = objective.loss(model, prepared(objective, batch_of(tokenizer)))
    detection.total.backward()
    for parameter in model.heads["replaced_token"].parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_the_share_of_right_answers_before_learning_is_that_of_guessing(tokenizer: Tokenizer) -> None:
    objective, model = made("sentence_order", tokenizer)
    (term,) = objective.loss(model, prepared(objective, batch_of(tokenizer)))
    assert float(term.total.detach()) / term.count == pytest.approx(math.log(2), rel=0.1)


def test_the_teacher_follows_and_is_not_learnt(tokenizer: Tokenizer) -> None:
    objective, model = made("self_distillation", tokenizer)
    assert isinstance(objective, Distillation)
    assert not any(parameter.requires_grad for parameter in objective.teacher.parameters())
    table = model.backbone.token_embedding.weight
    with torch.no_grad():
        table += 1.0
    before = objective.teacher.backbone.token_embedding.weight.clone()
    objective.after_step(model)
    moved = objective.teacher.backbone.token_embedding.weight - before
    torch.testing.assert_close(moved, torch.full_like(moved, 0.9))  # the first step forgets nine tenths
    assert "teacher.steps" in objective.state_dict()


def test_two_views_of_the_only_two_texts_find_each_other(tokenizer: Tokenizer) -> None:
    objective = SentenceContrast(tokenizer, 128, share=0.0)
    model = encoder(tokenizer).eval()
    (term,) = objective.loss(model, prepared(objective, batch_of(tokenizer)))
    assert term.right is not None
    assert int(term.right) == term.count == 8  # nothing left out: both views are the same
