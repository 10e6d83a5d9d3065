"""Next item: what is asked for of a history, and where the answer to a whole one is read."""

import pytest
import torch

from headwater.data.assembly import FramedExamples
from headwater.data.tokenizer import Tokenizer
from headwater.models import Model, build_model, decoder_settings
from headwater.objectives import NextItem
from headwater.randomness import Draws
from headwater.sequence import Batch

HISTORIES = ["a b c d", "d a", "", "b b c"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.of_words("abcd")


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Model:
    return build_model(decoder_settings("nano", tokenizer.size), head="next_token", seed=0).eval()


def batch_of(tokenizer: Tokenizer, histories: list[str]) -> Batch:
    framed = FramedExamples.of(tokenizer.encode_batch(histories), tokenizer, 16)
    return framed.batch(torch.arange(len(histories)).numpy())


def test_every_item_is_asked_for_and_the_end_of_a_history_never(tokenizer: Tokenizer) -> None:
    batch = batch_of(tokenizer, HISTORIES)
    task = NextItem(tokenizer).prepare(batch, Draws(0, 0, batch.items.numpy()))
    assert tokenizer.decode(task.targets.tolist()) == "a b c d d a b b c"
    assert task.counts == {"next_token": 9}


def test_a_whole_history_is_answered_at_its_last_item(tokenizer: Tokenizer, model: Model) -> None:
    together = NextItem(tokenizer).states(model, batch_of(tokenizer, HISTORIES))
    for number, history in enumerate(HISTORIES):
        tokens = [tokenizer.cls, *tokenizer.encode_batch([history])[0].tolist()]  # nothing behind it
        batch = batch_of(tokenizer, [history])
        alone = model.backbone(torch.tensor([tokens]), type(batch.layout).dense(1, len(tokens)))[0, -1]
        torch.testing.assert_close(together[number], alone, rtol=1e-4, atol=1e-5)


def test_smoothing_is_for_training_alone(tokenizer: Tokenizer, model: Model) -> None:
    batch = batch_of(tokenizer, HISTORIES)
    smooth, plain = NextItem(tokenizer, label_smoothing=0.2), NextItem(tokenizer)
    task = plain.prepare(batch, Draws(0, 0, batch.items.numpy()))
    expected = plain.loss(model, task)[0].total.item()
    assert smooth.loss(model, task)[0].total.item() != pytest.approx(expected)
    assert smooth.eval().loss(model, task)[0].total.item() == pytest.approx(expected)


def test_items_are_no_text(tokenizer: Tokenizer) -> None:
    batch = batch_of(tokenizer, HISTORIES)
    objective = NextItem(tokenizer)
    assert objective.text_bytes(objective.prepare(batch, Draws(0, 0, batch.items.numpy()))) == 0
