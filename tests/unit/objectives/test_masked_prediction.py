"""Masked tokens: which words are hidden, and what the loss is."""

import math

import pytest
import torch

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models import build_model, encoder_settings
from headwater.objectives import MaskedTokens
from headwater.objectives.masked_prediction import MaskedTask
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

TEXTS = [
    "the quick brown fox jumps over the lazy dog again and again",
    "short words here",
    "我们今天去公园散步吧",
] * 4


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(TEXTS * 3, 300)


def framed(tokenizer: Tokenizer, text: str) -> list[int]:
    return [tokenizer.cls, *tokenizer.encode_batch([text])[0].tolist(), tokenizer.sep]


def padded(tokenizer: Tokenizer, texts: list[str]) -> Batch:
    rows = [framed(tokenizer, text) for text in texts]
    width = max(map(len, rows))
    inputs = torch.tensor([row + [tokenizer.pad] * (width - len(row)) for row in rows])
    layout = SequenceLayout.padded(torch.tensor([len(row) for row in rows]), width)
    return Batch(inputs, layout, torch.arange(len(rows)))


def packed(tokenizer: Tokenizer, texts: list[str]) -> Batch:
    rows = [framed(tokenizer, text) for text in texts]
    flat = [token for row in rows for token in row]
    layout = SequenceLayout.packed([[len(row) for row in rows]], len(flat))
    return Batch(torch.tensor([flat]), layout, torch.arange(len(rows)))


def prepared(objective: MaskedTokens, batch: Batch, epoch: int = 0) -> MaskedTask:
    return objective.prepare(batch, Draws(0, epoch, batch.items.numpy()))


def test_the_share_of_hidden_tokens_is_what_was_asked_for(tokenizer: Tokenizer) -> None:
    batch = padded(tokenizer, TEXTS)
    shares = [
        prepared(MaskedTokens(tokenizer, share=0.3), batch, epoch).counts["masked_tokens"]
        for epoch in range(60)
    ]
    ordinary = int((batch.inputs > 3).sum())
    assert sum(shares) / (60 * ordinary) == pytest.approx(0.3, abs=0.02)


def test_special_tokens_and_padding_are_never_hidden(tokenizer: Tokenizer) -> None:
    batch = padded(tokenizer, TEXTS)
    for epoch in range(20):
        task = prepared(MaskedTokens(tokenizer, share=0.9), batch, epoch)
        assert (task.targets > 3).all()
        assert (task.batch.inputs[~batch.layout.real] == tokenizer.pad).all()


def test_a_word_is_hidden_whole_or_not_at_all(tokenizer: Tokenizer) -> None:
    batch = padded(tokenizer, TEXTS)
    words = torch.from_numpy(tokenizer.word_groups(batch.inputs.flatten().numpy()))
    for epoch in range(10):
        hidden = prepared(MaskedTokens(tokenizer), batch, epoch).batch.inputs.flatten() == tokenizer.mask
        for word in words.unique():
            assert hidden[words == word].unique().numel() == 1


def test_some_of_the_words_asked_for_stay_in_sight_while_training_and_none_in_evaluation(
    tokenizer: Tokenizer,
) -> None:
    objective, batch = MaskedTokens(tokenizer, share=0.5, kept=0.2), padded(tokenizer, TEXTS)
    plain = MaskedTokens(tokenizer, share=0.5)
    seen, asked = 0, 0
    for epoch in range(60):
        task = prepared(objective, batch, epoch)
        assert torch.equal(task.places, prepared(plain, batch, epoch).places)
        given = task.batch.inputs.flatten()[task.places]
        seen += int((given == task.targets).sum())
        asked += len(given)
        assert ((given == task.targets) | (given == tokenizer.mask)).all()
    assert seen / asked == pytest.approx(0.2, abs=0.03)
    task = prepared(objective.eval(), batch)
    assert (task.batch.inputs.flatten()[task.places] == tokenizer.mask).all()


def test_what_is_hidden_does_not_depend_on_how_items_are_put_together(tokenizer: Tokenizer) -> None:
    objective, texts = MaskedTokens(tokenizer), TEXTS[:3]
    together = prepared(objective, padded(tokenizer, texts))
    in_one_row = prepared(objective, packed(tokenizer, texts))
    assert together.targets.tolist() == in_one_row.targets.tolist()


def test_epochs_hide_different_words(tokenizer: Tokenizer) -> None:
    objective, batch = MaskedTokens(tokenizer), padded(tokenizer, TEXTS)
    assert not torch.equal(
        prepared(objective, batch, 0).batch.inputs, prepared(objective, batch, 1).batch.inputs
    )


def test_the_loss_before_training_is_that_of_guessing(tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    model = build_model(encoder_settings("nano", tokenizer.size), head="masked_tokens", seed=0)
    objective, batch = MaskedTokens(tokenizer), padded(tokenizer, TEXTS)
    (term,) = objective.loss(model, prepared(objective, batch))
    assert term.total.item() / term.count == pytest.approx(math.log(tokenizer.size), rel=0.05)


def test_the_loss_is_the_written_out_equation_over_hidden_places(tokenizer: Tokenizer) -> None:
    model = build_model(encoder_settings("nano", tokenizer.size), head="masked_tokens", seed=0).eval()
    objective, batch = MaskedTokens(tokenizer), padded(tokenizer, TEXTS)
    task = prepared(objective, batch)
    (term,) = objective.loss(model, task)
    logits = model.heads["masked_tokens"](model.encode(task.batch))  # everywhere, hidden or not
    hidden = task.batch.inputs == tokenizer.mask
    expected = -logits.log_softmax(-1)[hidden].gather(1, batch.inputs[hidden][:, None]).sum()
    torch.testing.assert_close(term.total, expected, rtol=1e-5, atol=1e-4)


def test_a_share_in_sight_of_one_or_more_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(SettingsError, match=r"objective\.kept = 1\.0"):
        MaskedTokens(tokenizer, kept=1.0)


def test_a_share_outside_zero_and_one_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(SettingsError, match="between 0 and 1"):
        MaskedTokens(tokenizer, share=1.0)
