"""Learning rates of gain: one instead of three, and those at which the loss is no number."""

from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.errors import TrainingStoppedError, UsageError
from headwater.experiments import experiment

TOO_HIGH = 1e30


def measured(run: hw.Run, workplace: Path, out: Path, **more: Any) -> dict[str, Any]:
    short = ["training.steps=5", "training.length=32", "machine.threads=1"]
    asked: dict[str, Any] = {"assign": short, "seeds": 1, **more}
    train, test = workplace / "train.csv", workplace / "test.csv"
    return hw.gain(run, train, test=test, budgets="4", arms="scratch", out=out, quiet=True, **asked).to_dict()


def test_a_rate_that_diverges_is_passed_over_and_told(
    pretrained: hw.Run, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(experiment, "learning_rates", lambda *_: (TOO_HIGH, 1e-3))
    cells = measured(pretrained, workplace, tmp_path / "gain")["cells"]
    (cell,) = (cell for cell in cells if cell["arm"] == "scratch")
    assert cell["learning_rate"] == 1e-3
    assert [row["choice"] for row in cell["tried"]] == ["1e+30", "0.001"]
    assert cell["tried"][0]["validation_score"] is None
    assert 0 <= cell["tried"][1]["validation_score"] <= 1
    assert "1e+30 (its loss was no number)" in (tmp_path / "gain" / "gain.html").read_text(encoding="utf-8")


def test_rows_are_named_where_every_rate_diverges(
    pretrained: hw.Run, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(experiment, "learning_rates", lambda *_: (TOO_HIGH, 2 * TOO_HIGH))
    with pytest.raises(TrainingStoppedError, match=r"train\.csv row \d+, .*train\.csv row") as stopped:
        measured(pretrained, workplace, tmp_path / "gain")
    assert "at 4 labels per class, seed 0, at each learning rate (1e+30, 2e+30)" in str(stopped.value)
    assert "training.learning_rate" not in str(stopped.value)


def test_a_model_that_answers_with_no_numbers_wins_nothing(
    pretrained: hw.Run, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(experiment, "learning_rates", lambda *_: (TOO_HIGH, 1e-3))
    # Two steps are too few for the loop to stop a loss that is no number.
    few = ["training.steps=2", "training.length=32", "machine.threads=1"]
    for cell in measured(pretrained, workplace, tmp_path / "gain", assign=few)["cells"]:
        assert cell["learning_rate"] == 1e-3
        assert cell["tried"][0]["validation_score"] is None


def test_one_rate_is_the_middle_one_and_every_seed_has_it(
    pretrained: hw.Run, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    cells = measured(pretrained, workplace, tmp_path / "gain", seeds=2, rates=1)["cells"]
    scratch = [cell for cell in cells if cell["arm"] == "scratch"]
    assert [cell["learning_rate"] for cell in scratch] == [1e-3, 1e-3]
    assert all([row["choice"] for row in cell["tried"]] == ["0.001"] for cell in scratch)
    page = (tmp_path / "gain" / "gain.html").read_text(encoding="utf-8")
    assert "at one learning rate, which suits its kind" in page
    assert "choosing among" not in page
    with pytest.raises(UsageError, match="rates = 2; expected 3, or 1"):
        measured(pretrained, workplace, tmp_path / "gain", rates=2)
