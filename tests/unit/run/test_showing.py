"""Changes of pictures that a label cannot bear are found, and others are not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from headwater.data.sequencers.patches import Patches
from headwater.evaluation.probes import linear_hits
from headwater.models import PatchSettings, begin_with_grid, build_model, picture_settings
from headwater.run.fitting import EncodedRows
from headwater.run.reading import Reader
from headwater.run.settings import TrainingSettings
from headwater.run.showing import Harm, harms, settled

PATCHES = Patches(rows=4, columns=4, side=4, channels=3, mean=(0.5,) * 3, deviation=(0.25,) * 3)
ROWS = 240


@pytest.fixture(scope="module")
def reader() -> Reader:
    model = build_model(
        picture_settings("nano", PatchSettings(rows=4, columns=4, side=4, channels=3)),
        head="classification",
        classes=2,
        seed=0,
    )
    begin_with_grid(model)
    return Reader(model=model, sequencer=PATCHES, length=17)


def pictures(labels: NDArray[np.int64], left: NDArray[np.int64], bright: NDArray[np.int64]) -> EncodedRows:
    """A square on the left or on the right of noise, dark or bright."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(100, 15, (len(labels), 16, 16, 3))
    for picture, is_left, is_bright in zip(pixels, left, bright, strict=True):
        columns = slice(1, 7) if is_left else slice(9, 15)
        picture[5:11, columns] += 80 if is_bright else -60
    return EncodedRows(list(np.clip(pixels, 0, 255).astype(np.uint8)), labels)


def test_left_and_right_cannot_be_mirrored(reader: Reader) -> None:
    left, bright = np.arange(ROWS) % 2, np.arange(ROWS) // 2 % 2
    found = harms(reader, pictures(left, left, bright), TrainingSettings())
    assert "mirrored" in {harm.change for harm in found}
    chosen = settled(TrainingSettings(), PATCHES, found)
    assert chosen.mirrored is False


def test_dark_and_bright_can(reader: Reader) -> None:
    left, bright = np.arange(ROWS) % 2, np.arange(ROWS) // 2 % 2
    found = harms(reader, pictures(bright, left, bright), TrainingSettings())
    assert found == []
    chosen = settled(TrainingSettings(), PATCHES, found)
    assert (chosen.moved, chosen.mirrored) == (0.125, True)


def test_what_the_user_asks_for_is_not_questioned(reader: Reader) -> None:
    left, bright = np.arange(ROWS) % 2, np.arange(ROWS) // 2 % 2
    asked = replace(TrainingSettings(), mirrored=True, moved=0.25)
    assert harms(reader, pictures(left, left, bright), asked) == []
    assert settled(asked, PATCHES, [Harm("mirrored", 0.3, 0.01)]).moved == 0.25


def test_several_labels_a_row_are_left_alone(reader: Reader) -> None:
    rows = pictures(np.arange(ROWS) % 2, np.arange(ROWS) % 2, np.arange(ROWS) % 2)
    assert harms(reader, EncodedRows(rows.inputs, np.eye(2)[rows.labels]), TrainingSettings()) == []


def test_little_or_uncertain_harm_is_chance() -> None:
    assert Harm("moved", 0.10, 0.02).grave
    assert not Harm("moved", 0.10, 0.05).grave
    assert not Harm("moved", 0.02, 0.001).grave


def test_hits_are_of_rows_that_were_held_out() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    told = rng.normal(size=(200, 8)) + 2.0 * labels[:, None]
    assert linear_hits(told, labels).mean() > 0.9
    noise = rng.normal(size=(200, 150))  # enough numbers to learn the learning rows by heart
    assert 0.3 < linear_hits(noise, labels).mean() < 0.7
    in_turn = np.arange(200) % 10  # a fold of every fifth row would hold classes that it never learnt
    assert linear_hits(np.eye(10)[in_turn], in_turn).all()
    assert linear_hits(told, labels, -told + told.mean(0)).mean() < 0.8  # what contradicts costs
