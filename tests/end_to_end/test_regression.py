"""Numbers for texts: one or several a row, in the user's units."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import headwater as hw
from headwater.evaluation.metrics.regression import NumbersReport, RegressionReport

AMOUNTS = ("no", "one", "two", "three", "four", "five")


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """How many boats and gulls a text speaks of; two digits apart in size, so that units matter."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(6, size=(count, 2)).tolist()
    return [
        {
            "text": f"we saw {AMOUNTS[boats]} boats and {AMOUNTS[gulls]} gulls",
            "y": [boats, 100.0 + 10 * gulls],
        }
        for boats, gulls in pairs
    ]


def write(path: Path, table: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def counter(workplace: Path, pretrained: hw.Run) -> hw.Run:
    folder = workplace / "counted"
    folder.mkdir()
    return hw.finetune(
        pretrained,
        write(folder / "train.jsonl", rows(300, 1)),
        task="regression",
        out=folder / "counter",
        validation=write(folder / "valid.jsonl", rows(40, 2)),
        steps=150,
        assign=["training.learning_rate=0.003"],
        quiet=True,
    )


def test_several_numbers_are_learnt_each_in_its_own_units(counter: hw.Run, tmp_path: Path) -> None:
    found = counter.evaluate(write(tmp_path / "test.jsonl", rows(80, 3)))
    assert isinstance(found, NumbersReport)
    boats, gulls = found.numbers
    assert boats.pearson.value > 0.8
    assert gulls.pearson.value > 0.8
    assert gulls.mean_absolute_error.value == pytest.approx(10 * boats.mean_absolute_error.value, rel=1.0)
    assert str(found).startswith("number 1: 80 rows")
    assert counter.summary.evaluation["pearson"] > 0.8


def test_transformers_gives_the_same_numbers_in_units_of_their_spread(counter: hw.Run) -> None:
    text = "we saw four boats and one gulls"
    (answer,) = counter.predict([text])
    card = json.loads((counter.path / "model" / "headwater.json").read_text())
    model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(
        counter.path / "model"
    ).eval()
    words = transformers.AutoTokenizer.from_pretrained(counter.path / "model")
    with torch.no_grad():
        theirs = model(**words(text, return_tensors="pt")).logits[0].numpy()
    assert model.config.problem_type == "regression"
    values = theirs * np.array(card["spread"]) + np.array(card["mean"])
    assert answer["values"] == pytest.approx(values.tolist(), abs=1e-3)


def test_rows_with_other_counts_are_left_out_and_other_files_refused(counter: hw.Run, tmp_path: Path) -> None:
    mixed = [
        {**row, "y": row["y"][0] if number % 7 == 3 else row["y"]} for number, row in enumerate(rows(70, 4))
    ]
    run = hw.finetune(
        counter,
        write(tmp_path / "mixed.jsonl", mixed),
        task="regression",
        out=tmp_path / "run",
        steps=1,
        quiet=True,
    )
    facts = json.loads((run.path / "data.json").read_text())
    assert facts["train"]["rows"] == 60
    assert facts["problems"]["by_reason"] == {"label does not hold 2 number(s)": 10}
    single = write(tmp_path / "single.jsonl", [{**row, "y": row["y"][0]} for row in rows(20, 5)])
    with pytest.raises(hw.HeadwaterError, match=r"holds 1 number\(s\) a row, and the model has learnt 2"):
        counter.evaluate(single)


def test_one_number_a_row_stays_one_number(pretrained: hw.Run, tmp_path: Path) -> None:
    table = write(tmp_path / "one.jsonl", [{**row, "y": row["y"][0]} for row in rows(60, 6)])
    run = hw.finetune(pretrained, table, task="regression", out=tmp_path / "run", steps=2, quiet=True)
    assert list(run.predict(["we saw two boats"])[0]) == ["value"]
    assert isinstance(run.evaluate(table), RegressionReport)


def test_a_number_that_never_varies_is_named(tmp_path: Path) -> None:
    table = write(tmp_path / "flat.jsonl", [{**row, "y": [row["y"][0], 7]} for row in rows(30, 7)])
    with pytest.raises(hw.HeadwaterError, match="holds the number 7 as number 2 in every row"):
        hw.finetune("scratch", table, task="regression", out=tmp_path / "run", quiet=True)
