"""A classifier that begins as a linear probe answers, before its first step, as scikit-learn's regression does."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from headwater.data.sequencers.patches import Patches
from headwater.evaluation.probes import linear_reader
from headwater.models import PatchSettings, build_model, picture_settings
from headwater.objectives import Classification
from headwater.run.beginning import begin_as_probe
from headwater.run.fitting import EncodedRows
from headwater.run.reading import Reader

PATCHES = Patches(rows=4, columns=4, side=2, channels=1, mean=(0.5,), deviation=(0.25,))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_reader_of_vectors_as_they_are(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=200)
    vectors = rng.normal(size=(200, 6)) * np.arange(1, 7) + 5 + labels[:, None] * np.arange(6)
    weights, biases = linear_reader(vectors, labels, classes + 1)
    logits = vectors @ weights.T + biases
    centred = vectors - vectors.mean(0)
    standard = centred / np.sqrt((centred**2).mean())
    expected = LogisticRegression(C=30 / 200, max_iter=200).fit(standard, labels).predict_proba(standard)
    shares = np.exp(logits[:, :classes]) / np.exp(logits[:, :classes]).sum(1, keepdims=True)
    assert np.allclose(shares, expected, atol=1e-6)
    assert (logits[:, classes] <= logits[:, :classes].max(1)).all()  # a class that no row has is not answered


@pytest.mark.parametrize("classes", [2, 3])
def test_a_reader_without_biases(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=200)
    vectors = rng.normal(size=(200, 6)) + 1 + labels[:, None] * np.arange(6)
    weights, biases = linear_reader(vectors, labels, classes, biased=False)
    assert not biases.any()
    scaled = vectors / np.sqrt(((vectors - vectors.mean(0)) ** 2).mean())
    reader = LogisticRegression(C=30 / 200, max_iter=200, fit_intercept=False)
    shares = np.exp(vectors @ weights.T)
    shares /= shares.sum(1, keepdims=True)
    assert np.allclose(shares, reader.fit(scaled, labels).predict_proba(scaled), atol=1e-6)


def test_vectors_that_hardly_differ_are_not_blown_up() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    vectors = 1e-3 * rng.normal(size=(40, 64))
    weights, _ = linear_reader(vectors, labels, 2)
    assert np.abs(weights).max() < 0.1


def test_one_class_alone_says_nothing() -> None:
    weights, biases = linear_reader(np.ones((5, 3)), np.zeros(5, int), 2)
    assert not weights.any()
    assert not biases.any()


def test_it_answers_before_the_first_step() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    pictures = [
        np.clip(rng.normal(60 + 60 * label, 20, (8, 8, 1)), 0, 255).astype(np.uint8) for label in labels
    ]
    shape = PatchSettings(rows=4, columns=4, side=2, channels=1)
    model = build_model(picture_settings("nano", shape), head="classification", classes=3, seed=0)
    reader = Reader(model=model, sequencer=PATCHES, length=17)
    rows = EncodedRows(pictures, labels)
    objective = Classification(("a", "b", "c"))
    before = (reader.scores(objective, rows.inputs).argmax(1) == labels).mean()
    body = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    begin_as_probe(reader, rows)
    after = (reader.scores(objective, rows.inputs).argmax(1) == labels).mean()
    assert before < 0.7 < 0.95 < after
    assert all(torch.equal(body[name], value) for name, value in model.backbone.state_dict().items())
