"""Connectionist temporal classification against a sum over every path."""

from itertools import groupby, product

import numpy as np
import pytest
import torch

from headwater.data.sequencers import Patches, Tokenizer
from headwater.data.spectrogram import Mel
from headwater.data.targets import TargetTexts
from headwater.models import Model, PatchSettings, build_model, picture_settings
from headwater.objectives import CTC
from headwater.objectives.ctc import SpokenTask
from headwater.randomness import Draws
from headwater.sequence import Batch

TEXTS = ["one two", "two two", "", "one one one one one"]
COLUMNS = 4
PATCHES = Patches(
    rows=2, columns=COLUMNS, side=4, channels=1, mean=(0.5,), deviation=(0.25,), mel=Mel(8000, 16, 8)
)


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return Tokenizer.of_words(["one", "two"])


def task_of(objective: CTC, words: Tokenizer) -> SpokenTask:
    pixels = np.random.default_rng(0).integers(256, size=(len(TEXTS), 8, 16, 1), dtype=np.uint8)
    targets = TargetTexts.of(words.encode_batch(TEXTS), words, 10)
    batch = targets.into(Batch(*PATCHES.sequences(pixels), torch.arange(len(TEXTS))))
    return objective.prepare(batch, Draws(0, 0, np.arange(len(TEXTS))))


def model(words: Tokenizer) -> Model:
    shape = PatchSettings(rows=2, columns=COLUMNS, side=4, channels=1)
    return build_model(picture_settings("nano", shape), head="tagging", classes=words.size, seed=0).eval()


def read(path: tuple[int, ...], blank: int) -> list[int]:
    return [token for token, _ in groupby(path) if token != blank]


@torch.no_grad()
def test_the_loss_is_the_sum_over_all_paths_that_read_as_the_text(words: Tokenizer) -> None:
    objective, ours = CTC(PATCHES, words), model(words)
    task = task_of(objective, words)
    scores = objective.scores(ours, task.batch)
    assert scores.shape == (len(TEXTS), COLUMNS, words.size)
    found = objective.nats(ours, task)
    encoded = [tokens.tolist() for tokens in words.encode_batch(TEXTS)]
    for row, text in enumerate(encoded):
        paths = [path for path in product(range(words.size), repeat=COLUMNS) if read(path, words.pad) == text]
        likelihood = sum(
            float(torch.stack([scores[row, column, token] for column, token in enumerate(path)]).sum().exp())
            for path in paths
        )
        expected = -np.log(likelihood) if likelihood else 0.0  # five words do not fit into four columns
        assert float(found[row]) == pytest.approx(expected, abs=1e-4)
    (term,) = objective.loss(ours, task)
    assert term.count == len(TEXTS)
    assert float(term.total) == pytest.approx(float(found.sum()))


def test_a_path_is_read_without_repetitions_and_blanks(words: Tokenizer) -> None:
    objective = CTC(PATCHES, words)
    one, two = (int(tokens[0]) for tokens in words.encode_batch(["one", "two"]))
    blank = words.pad
    paths = torch.tensor([[one, one, blank, one], [blank, two, two, one], [blank] * 4])
    scores = torch.nn.functional.one_hot(paths, words.size).float()
    assert objective.read(scores) == [[one, one], [two, one], []]
