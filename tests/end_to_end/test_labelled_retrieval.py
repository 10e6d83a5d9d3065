"""Pictures of one label are near to each other: learnt, judged, and looked through."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headwater as hw
from headwater.evaluation.metrics.labelled_retrieval import LabelledRetrievalReport
from headwater.models import load_bundle

ASSIGN = ["machine.threads=1", "training.batch_rows=16", "training.evaluation_steps=40"]
KINDS = ("disc", "cross", "frame")


def picture(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A bright figure of any colour somewhere on a ground of any colour."""
    down, right = np.mgrid[:16, :16] - rng.integers(5, 11, 2)[:, None, None]
    inside = {
        "disc": down**2 + right**2 < 12,
        "cross": (abs(down) < 2) ^ (abs(right) < 2),
        "frame": np.maximum(abs(down), abs(right)) == 4,
    }[kind]
    ground = rng.integers(0, 60, 3) + rng.integers(0, 40, (16, 16, 3))
    return np.where(inside[..., None], rng.integers(120, 256, 3), ground).astype(np.uint8)


@pytest.fixture(scope="module")
def figures(workplace: Path) -> Path:
    rng = np.random.default_rng(0)
    for part, kinds, count in (("train", KINDS[:2], 80), ("test", KINDS, 20)):
        for kind in kinds:
            folder = workplace / "figures" / part / kind
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(picture(kind, rng)).save(folder / f"{number}.png")
    return workplace / "figures"


@pytest.fixture(scope="module")
def finder(workplace: Path, cache: object, figures: Path) -> hw.Run:
    return hw.finetune(
        "scratch",
        figures / "train",
        task="retrieval",
        size="nano",
        out=workplace / "figure-finder",
        validation=figures / "test",
        steps=80,
        assign=ASSIGN,
        quiet=True,
    )


def test_figures_of_a_kind_are_found_and_unknown_kinds_are_judged_too(finder: hw.Run, figures: Path) -> None:
    report = finder.evaluate(figures / "test")
    assert isinstance(report, LabelledRetrievalReport)
    assert (report.queries, report.alone) == (60, 0)
    assert report.model.map_at_r.value > report.shades.map_at_r.value
    assert report.model.recall_at_1.value > 0.5  # 0.33 by chance
    evaluated = finder.summary.evaluation
    assert evaluated is not None
    assert evaluated["recall_at_1"] == pytest.approx(report.model.recall_at_1.value, abs=0.05)


def test_the_vectors_are_those_that_embed_and_search_use(finder: hw.Run, figures: Path) -> None:
    folder = figures / "test"
    bundle = load_bundle(finder.path / "model")
    assert not len(bundle.model.heads)
    vectors = finder.embed([folder / "disc" / f"{number}.png" for number in range(20)])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = folder / "disc" / "3.png"
    hits = finder.search(folder, str(asked), top=60)
    assert hits[0]["path"] == str(asked)
    scores = {hit["path"]: hit["score"] for hit in hits}
    assert scores[str(folder / "disc" / "7.png")] == pytest.approx(float(unit[3] @ unit[7]), abs=1e-4)


def test_what_cannot_be_answered_or_learnt_is_said(finder: hw.Run, figures: Path, tmp_path: Path) -> None:
    with pytest.raises(hw.HeadwaterError, match="headwater search RUN FOLDER FILE"):
        finder.predict([figures / "test" / "disc" / "1.png"])
    with pytest.raises(hw.HeadwaterError, match="adds no head"):
        learn(figures / "train", tmp_path / "no", "training.adapt=head")
    for number in range(4):  # every picture a label of its own
        folder = tmp_path / "own" / str(number)
        folder.mkdir(parents=True)
        Image.fromarray(picture("disc", np.random.default_rng(number))).save(folder / "one.png")
    with pytest.raises(hw.HeadwaterError, match="4 rows with as many labels"):
        learn(tmp_path / "own", tmp_path / "alone")


def learn(train: Path, out: Path, *assign: str) -> hw.Run:
    asked = [*ASSIGN, *assign]
    return hw.finetune(
        "scratch", train, task="retrieval", size="nano", out=out, steps=2, assign=asked, quiet=True
    )


@pytest.mark.parametrize("adapt", ["lora", "gradual"])
def test_it_learns_with_every_way_to_adapt(finder: hw.Run, figures: Path, tmp_path: Path, adapt: str) -> None:
    run = hw.finetune(
        finder,
        figures / "train",
        task="retrieval",
        out=tmp_path / adapt,
        steps=6,
        assign=[*ASSIGN, f"training.adapt={adapt}"],
        quiet=True,
    )
    assert run.evaluate(figures / "test").to_dict()["recall_at_1"]["value"] > 0.4
