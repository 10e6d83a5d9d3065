"""Labels of another set as pre-training: fine-tune on A, then fine-tune on B and ask what A was worth for it."""

import json
from pathlib import Path

import pytest

import headwater as hw
from tests.end_to_end.conftest import sentences, write_table

COLDEST = ("frost", "storm", "anchor", "wave", "onion")


@pytest.fixture(scope="module")
def other_labels(workplace: Path) -> dict[str, Path]:
    """The same kind of sentences with labels of another kind: does one of a few words stand in them?"""
    folder = workplace / "other_labels"
    folder.mkdir()
    return {
        part: write_table(
            folder / f"{part}.csv",
            [
                (text, "cold" if any(word in text for word in COLDEST) else "warm")
                for text, _ in sentences(count, seed)
            ],
        )
        for part, count, seed in (("train", 80, 11), ("test", 40, 12))
    }


def test_a_fine_tuned_run_is_fine_tuned_on_other_labels(
    finetuned: hw.Run, other_labels: dict[str, Path], tmp_path: Path
) -> None:
    run = hw.finetune(finetuned, other_labels["train"], out=tmp_path / "second", steps=3, quiet=True)
    card = json.loads((run.path / "model" / "headwater.json").read_text())
    assert card["parent"]["run"] == str(finetuned.path)
    assert card["labels"] == ["cold", "warm"]
    assert {answer["label"] for answer in run.predict(["the frost came early"])} <= {"cold", "warm"}


def test_gain_says_what_the_first_labels_were_worth_beside_the_run_that_they_began_from(
    finetuned: hw.Run, other_labels: dict[str, Path], tmp_path: Path
) -> None:
    found = hw.gain(
        finetuned,
        other_labels["train"],
        test=other_labels["test"],
        budgets=[8],
        seeds=1,
        arms=["pretrained", "parent"],
        out=tmp_path / "report",
        quiet=True,
        assign=["training.steps=5", "machine.threads=1"],
    ).to_dict()
    assert {cell["arm"] for cell in found["cells"]} == {"pretrained", "parent", "scratch"}
    assert "Against the model it was continued from, this run" in found["sentence"]
