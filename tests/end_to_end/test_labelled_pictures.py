"""Labelled pictures become a model that answers, in every verb that text has."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import headwater as hw
from headwater.models import ResidualSettings, load_bundle
from tests.end_to_end.conftest import Seen

ASSIGN = ["machine.threads=1", "training.batch_rows=16", "training.evaluation_steps=40"]
CLASSES = {"disc": 0, "cross": 1}


def picture(kind: str, seed: int) -> np.ndarray:
    """A bright disc or a bright cross somewhere on a dark ground."""
    rng = np.random.default_rng(1000 * CLASSES[kind] + seed)
    down, right = np.mgrid[:16, :16] - rng.integers(5, 11, 2)[:, None, None]
    inside = down**2 + right**2 < 12 if kind == "disc" else (abs(down) < 2) ^ (abs(right) < 2)
    ground = rng.integers(0, 60, (16, 16, 3))
    return np.where(inside[..., None], rng.integers(140, 256, 3), ground).astype(np.uint8)


@pytest.fixture(scope="module")
def shapes(workplace: Path) -> Path:
    for part, count in (("train", 80), ("test", 30)):
        for kind in CLASSES:
            folder = workplace / "shapes" / part / kind
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = picture(kind, number + 500 * (part == "test"))
                Image.fromarray(pixels).save(folder / f"{number}.png")
    (workplace / "shapes" / "train" / "disc" / "broken.png").write_bytes(b"no picture")
    return workplace / "shapes"


@pytest.fixture(scope="module")
def painter(workplace: Path, cache: object, shapes: Path) -> hw.Run:
    return hw.pretrain(
        shapes, out=workplace / "shape-painter", size="nano", steps=5, assign=ASSIGN, quiet=True
    )


@pytest.fixture(scope="module")
def sorter(workplace: Path, painter: hw.Run, shapes: Path) -> hw.Run:
    out = workplace / "sorter"
    return hw.finetune(
        painter, shapes / "train", out=out, validation=shapes / "test", steps=40, assign=ASSIGN, quiet=True
    )


def test_it_tells_discs_from_crosses(sorter: hw.Run, shapes: Path) -> None:
    report = sorter.evaluate(shapes / "test").to_dict()
    assert report["accuracy"]["value"] > 0.9
    card = json.loads((sorter.path / "model" / "headwater.json").read_text())
    assert (card["labels"], card["sequencer"]) == (["cross", "disc"], "patches")
    facts = json.loads((sorter.path / "data.json").read_text())
    assert facts["train"] == {"rows": 160, "labels": {"cross": 80, "disc": 80}}
    assert facts["problems"]["by_reason"] == {"no picture": 1}


def test_larger_pictures_are_read_by_a_model_of_smaller_ones(
    painter: hw.Run, shapes: Path, tmp_path: Path
) -> None:
    large = [*ASSIGN, "data.side=20"]
    run = hw.finetune(painter, shapes / "train", out=tmp_path / "sorter", steps=20, assign=large, quiet=True)
    card = json.loads((run.path / "model" / "headwater.json").read_text())
    assert card["length"] == 1 + 10 * 10
    assert run.evaluate(shapes / "test").to_dict()["accuracy"]["value"] > 0.8
    further = hw.pretrain(
        shapes, start_from=painter.path, out=tmp_path / "further", steps=30, assign=large, quiet=True
    )
    found = hw.gain(
        further,
        shapes / "train",
        test=shapes / "test",
        budgets=[8],
        seeds=1,
        rates=1,
        arms=["pretrained", "parent"],
        quiet=True,
        assign=[*ASSIGN[:2], "training.steps=5"],
    )
    assert {cell["arm"] for cell in found.to_dict()["cells"]} == {"pretrained", "parent", "scratch"}
    with pytest.raises(hw.HeadwaterError, match="continue the run that it began from"):
        hw.pretrain(
            shapes,
            start_from=run.path,
            out=tmp_path / "no",
            steps=2,
            assign=[*ASSIGN, "data.side=16"],
            quiet=True,
        )
    before = painter.summary.evaluation["masked_autoencoding"]
    assert further.summary.evaluation["masked_autoencoding"] < before


def test_files_folders_and_arrays_are_answered_alike(sorter: hw.Run, shapes: Path) -> None:
    folder = shapes / "test" / "cross"
    answered = list(sorter.predict_rows(str(folder)))
    assert [answer["path"] for answer in answered] == sorted(map(str, folder.iterdir()))
    first = Path(answered[0]["path"])
    by_name, by_array = sorter.predict([first, np.asarray(Image.open(first))])
    assert by_name == by_array == {name: answered[0][name] for name in ("label", "probabilities")}
    vectors = sorter.embed([first, first])
    assert vectors.shape == (2, 128)
    assert np.array_equal(vectors[0], vectors[1])


def test_every_part_of_a_folder_is_answered(sorter: hw.Run, shapes: Path) -> None:
    answers: list[dict[str, Any]] = []
    with pytest.raises(hw.HeadwaterError, match="all other rows were answered"):  # one of them is broken
        answers.extend(sorter.predict_rows(str(shapes)))
    parts = {Path(answer["path"]).relative_to(shapes).parts[0] for answer in answers}
    assert parts == {"train", "test"}


def test_names_on_standard_input(sorter: hw.Run, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        str(shapes / "test" / "disc" / "0.png"),
        str(shapes / "train" / "disc" / "broken.png"),
        "none.png",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(names)))
    answers: list[dict[str, Any]] = []
    with pytest.raises(hw.HeadwaterError, match="2 of 3 rows left out"):
        answers.extend(sorter.predict_rows("-"))
    assert answers[0]["path"] == names[0]
    assert "no picture" in answers[1]["error"]
    assert "No such file" in answers[2]["error"]


@torch.no_grad()
def test_transformers_gives_the_same_answers(sorter: hw.Run, shapes: Path) -> None:
    theirs: Any = transformers.AutoModelForImageClassification.from_pretrained(sorter.path / "model").eval()
    pixels = np.stack([picture("disc", 900), picture("cross", 901)])
    bundle = load_bundle(sorter.path / "model")
    from headwater.data.sequencers.patches import Patches

    assert bundle.settings.patches is not None
    patches = Patches.load(bundle.folder, **bundle.settings.patches.cut)
    found = theirs(patches.joined(patches.patched(pixels))).logits.softmax(-1)
    for answer, shares in zip(sorter.predict(list(pixels)), found, strict=True):
        expected = dict(zip(bundle.card["labels"], shares.tolist(), strict=True))
        assert answer["probabilities"] == pytest.approx(expected, abs=2e-6)


def test_search_finds_what_looks_alike(sorter: hw.Run, shapes: Path, tmp_path: Path) -> None:
    query = str(shapes / "test" / "disc" / "3.png")
    hits = sorter.search(shapes, query, top=5, sheet=tmp_path / "found.png")
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    assert hits[0]["path"] == query  # it lies in the folder itself
    assert hits[0]["score"] == pytest.approx(1, abs=1e-5)
    assert {hit["label"] for hit in hits} == {"disc"}
    with Image.open(tmp_path / "found.png") as drawn:
        assert drawn.width > 5 * 96
    assert sorter.search(shapes, query, top=5) == hits  # from the cache
    with pytest.raises(hw.HeadwaterError, match="no_such"):
        sorter.search(shapes, str(tmp_path / "no_such.png"))


def test_gain_of_pictures(painter: hw.Run, shapes: Path) -> None:
    result = hw.gain(
        painter,
        shapes / "train",
        test=shapes / "test",
        budgets="3",
        seeds=1,
        rates=1,
        assign=["training.steps=10", "machine.threads=1"],
        quiet=True,
    )
    found = result.to_dict()
    assert {cell["arm"] for cell in found["cells"]} == {
        "pretrained",
        "scratch",
        "recurrent",
        "convolutional",
        "floor",
    }
    assert found["leakage"]["exact"] == 0
    page = result.report.read_text(encoding="utf-8")
    assert "data:image/png;base64," in page  # what pre-training painted
    assert "logistic regression on pixels" in page
    assert "bag-of-words" not in page


def test_what_draws_is_a_classifier_too(shapes: Path, tmp_path: Path) -> None:
    run = hw.pretrain(
        shapes,
        out=tmp_path / "drawer",
        objective="image_generation",
        size="nano",
        steps=3,
        assign=ASSIGN,
        quiet=True,
    )
    sorter = hw.finetune(run, shapes / "train", out=tmp_path / "sorter", steps=20, assign=ASSIGN, quiet=True)
    assert sorter.evaluate(shapes / "test").to_dict()["accuracy"]["value"] > 0.7


def test_test_pictures_that_were_learnt_from_are_left_out(
    workplace: Path, shapes: Path, tmp_path: Path
) -> None:
    everything = hw.pretrain(
        [shapes / "test" / "disc", shapes / "test" / "cross"],
        out=tmp_path / "leaky",
        size="nano",
        steps=2,
        assign=ASSIGN,
        quiet=True,
    )
    with pytest.raises(hw.HeadwaterError, match="of 60 test rows in what the model"):
        hw.gain(everything, shapes / "train", test=shapes / "test", budgets="8", seeds=1, quiet=True)


@pytest.mark.parametrize("backbone", ["convolutional", "recurrent"])
def test_baselines_of_pictures_are_fine_tuned_from_scratch(
    backbone: str, shapes: Path, tmp_path: Path
) -> None:
    run = hw.finetune(
        "scratch",
        shapes / "train",
        out=tmp_path / "run",
        size="nano",
        steps=30,
        assign=[*ASSIGN, f"model.backbone={backbone}"],
        quiet=True,
    )
    assert len(run.predict([picture("disc", 1)])) == 1
    settings = load_bundle(run.path / "model").settings
    assert isinstance(settings, ResidualSettings) == (backbone == "convolutional")


def test_numbers_of_pictures_are_learnt(tmp_path: Path) -> None:
    pictures = np.stack([np.full((8, 8), value, np.uint8) for value in range(0, 240, 4)])
    np.savez(tmp_path / "grey.npz", x=pictures, y=np.arange(60))
    run = hw.finetune(
        "scratch",
        tmp_path / "grey.npz",
        task="regression",
        out=tmp_path / "run",
        size="nano",
        steps=60,
        assign=[*ASSIGN, "training.moved=0"],
        quiet=True,
    )
    dark, bright = (answer["value"] for answer in run.predict([pictures[5], pictures[55]]))
    assert dark < 25 < bright


def of_five_channels(path: Path, count: int, seed: int) -> Path:
    """Noise in five channels; what a picture is called is told by the fourth and the fifth alone."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    values = rng.integers(100, 156, (count, 16, 16, 5))
    values[..., 3:] += np.where(labels, 60, -60)[:, None, None, None] * np.array([1, -1])
    np.savez(path, images=values.astype(np.uint8), labels=labels)
    return path


@pytest.mark.parametrize("objective", ["masked_autoencoding", "view_contrast"])
def test_pictures_of_five_channels_take_the_whole_way(
    objective: str, told: Callable[..., Seen], tmp_path: Path
) -> None:
    train, test = (of_five_channels(tmp_path / f"{seed}.npz", 120, seed) for seed in (1, 2))
    options = ("--size", "nano", "--steps", "2", "--set", "machine.threads=1", "--objective", objective)
    seen = told("", "pretrain", train, "--out", tmp_path / "first", *options)
    assert "(16 × 16, 5 channels) to learn from" in seen.err
    assert list((tmp_path / "first" / "reports").glob("*.png"))
    run = hw.finetune(tmp_path / "first", train, out=tmp_path / "run", steps=15, assign=ASSIGN, quiet=True)
    assert run.evaluate(test).to_dict()["accuracy"]["value"] > 0.95
    with pytest.raises(hw.HeadwaterError, match="of other channels"):
        run.evaluate(of_other_channels(tmp_path / "other.npz"))


def of_other_channels(path: Path) -> Path:
    np.savez(path, images=np.zeros((20, 16, 16, 3), np.uint8), labels=np.arange(20) % 2)
    return path


@pytest.mark.parametrize(
    ("task", "words"),
    [("tagging", "this task reads text, and .* holds pictures"), ("regression", "label is not a number")],
)
def test_tasks_that_pictures_cannot_do_are_refused(
    task: str, words: str, painter: hw.Run, shapes: Path, tmp_path: Path
) -> None:
    with pytest.raises(hw.HeadwaterError, match=words):
        hw.finetune(painter, shapes / "train", task=task, out=tmp_path / "run", steps=2, quiet=True)


def test_pictures_without_labels_are_refused(painter: hw.Run, shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(hw.HeadwaterError, match="none of 80 pictures has a label; put them into one folder"):
        hw.finetune(painter, shapes / "train" / "cross", out=tmp_path / "run", steps=2, quiet=True)


def test_a_run_of_text_says_that_these_are_pictures(shapes: Path, tmp_path: Path) -> None:
    rows = "\n".join(f"{'good' if n % 2 else 'bad'} thing number {n},{n % 2}" for n in range(40))
    (tmp_path / "rows.csv").write_text(f"text,label\n{rows}\n")
    run = hw.finetune(
        "scratch", tmp_path / "rows.csv", out=tmp_path / "run", size="nano", steps=2, quiet=True
    )
    with pytest.raises(hw.HeadwaterError, match="there are pictures, and text is read here"):
        hw.finetune(run, shapes / "train", out=tmp_path / "more", steps=2, quiet=True)
