"""Sets of labels: learnt, judged, asked for, and what is said of cells that are none."""

import json
from pathlib import Path

import numpy as np
import pytest

import headwater as hw
from headwater.errors import BadDataError
from headwater.evaluation.metrics.multi_label import MultiLabelReport

WORDS = {
    "weather": ("rain", "wind", "cloud"),
    "kitchen": ("bread", "soup", "onion"),
    "harbour": ("boat", "rope"),
}


def write(path: Path, count: int, seed: int, *, as_list: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    lines = ["text\tsubjects"]
    for number in range(count):
        subjects = sorted(rng.choice(list(WORDS), size=rng.integers(1, 4), replace=False))
        words = " and the ".join(str(rng.choice(WORDS[subject])) for subject in subjects)
        lines.append(f"the {words} ({number})\t{json.dumps(subjects) if as_list else '|'.join(subjects)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> hw.Run:
    folder = tmp_path_factory.mktemp("subjects")
    return hw.finetune(
        "scratch",
        write(folder / "train.tsv", 300, 1),
        task="multi_label_classification",
        label="subjects",
        validation=write(folder / "valid.tsv", 40, 2),
        out=folder / "run",
        size="nano",
        steps=120,
        assign=["training.learning_rate=0.003"],
        quiet=True,
    )


def test_sets_are_learnt_whether_written_with_bars_or_as_lists(run: hw.Run, tmp_path: Path) -> None:
    for as_list in (False, True):
        report = run.evaluate(write(tmp_path / "test.tsv", 60, 3, as_list=as_list))
        assert isinstance(report, MultiLabelReport)
        assert report.micro_f1.value > 0.9
        assert report.labels[0].label == "harbour"


def test_the_answer_names_every_label_that_is_more_likely_than_not(run: hw.Run) -> None:
    (answer,) = run.predict(["the rain and the boat"])
    assert answer["labels"] == ["harbour", "weather"]
    assert set(answer["probabilities"]) == set(WORDS)
    assert all((p >= 0.5) == (name in answer["labels"]) for name, p in answer["probabilities"].items())


def test_a_column_of_one_label_is_refused_before_anything_is_made(workplace: Path, tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("text\tsubjects\nsome rain fell\tweather\nmore rain fell\tweather\n", encoding="utf-8")
    with pytest.raises(BadDataError, match="holds 1 label"):
        hw.finetune(
            "scratch",
            path,
            task="multi_label_classification",
            label="subjects",
            out=tmp_path / "run",
            quiet=True,
        )
    assert not (tmp_path / "run").exists()


def test_labels_that_were_never_learnt_are_said(
    run: hw.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "test.tsv", 20, 4)
    path.write_text(path.read_text(encoding="utf-8") + "the tram\ttraffic\n", encoding="utf-8")
    run.evaluate(path, quiet=False)
    assert "never saw the labels traffic" in capsys.readouterr().err
