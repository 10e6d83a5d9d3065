"""Pictures with captions become two towers that find each other, name classes by words, and go on elsewhere."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import headwater as hw
from headwater.evaluation.metrics.classification import ClassificationReport
from headwater.evaluation.metrics.pairs import PairReport
from headwater.models import Tower
from headwater.run.searching import search, search_rows
from tests.end_to_end.squares import COLOURS, PLACES, draw
from tests.end_to_end.stopped import gone_on, weights_of

ASSIGN = [
    "machine.threads=1",
    "training.batch_rows=32",
    "training.checkpoint_steps=20",
    "training.evaluation_steps=40",
]
LARGE = "model.patch=4"
"""A quarter as many patches."""


def table(folder: Path, name: str, count: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    lines = ["file\tcaption\tcolour"]
    for number in range(count):
        colour, place = str(rng.choice(list(COLOURS))), str(rng.choice(PLACES))
        draw(folder / f"{name}-{number}.png", colour, place, 1000 * seed + number)
        lines.append(f"{name}-{number}.png\ta {colour} square at the {place}, number {number}\t{colour}")
    path = folder / f"{name}.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def sheets(workplace: Path) -> Path:
    folder = workplace / "sheets"
    folder.mkdir()
    table(folder, "train", 300, 1)
    table(folder, "test", 60, 2)
    return folder


@pytest.fixture(scope="module")
def towers(workplace: Path, cache: object, sheets: Path) -> hw.Run:
    return hw.pretrain(
        sheets / "train.tsv",
        out=workplace / "towers",
        objective="pair_contrast",
        size="nano",
        steps=100,
        text=["caption"],
        hold_out=sheets / "test.tsv",
        assign=[*ASSIGN, LARGE],
        quiet=True,
    )


def test_each_side_finds_the_other(towers: hw.Run, sheets: Path) -> None:
    report = towers.evaluate(sheets / "test.tsv", label="colour")
    assert isinstance(report, PairReport)
    for way in (report.there, report.back):
        assert way.recall_at_1.value > 0.9  # a quarter by chance
        assert 0.2 < way.chance_at_1 < 0.35
    alone = towers.evaluate(sheets / "test.tsv")
    assert isinstance(alone, PairReport)
    assert alone.there.queries == alone.there.things == 60
    assert alone.there.recall_at_10.value > 0.6
    assert (towers.path / "reports" / "pair_contrast.png").is_file()


def test_pairs_are_judged_and_searched_in_bf16_where_that_is_asked_for(
    towers: hw.Run, sheets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: set[bool] = set()
    read = Tower.forward

    def watched(tower: Tower, *given: Any, **more: Any) -> Any:
        kinds.add(torch.is_autocast_enabled("cpu"))
        return read(tower, *given, **more)

    monkeypatch.setattr(Tower, "forward", watched)
    quick = hw.open_run(towers.path, precision="bf16")
    report = quick.evaluate(sheets / "test.tsv", label="colour")
    assert isinstance(report, PairReport)
    assert report.there.recall_at_1.value > 0.9
    assert len(search(quick.folder, sheets / "test.tsv", "a red square", top=3)["hits"]) == 3
    assert kinds == {True}
    towers.evaluate(sheets / "test.tsv")
    assert kinds == {True, False}


def test_words_find_pictures_and_pictures_find_words(towers: hw.Run, sheets: Path, tmp_path: Path) -> None:
    found = search(towers.folder, sheets, "a green square", top=3, sheet=tmp_path / "found.png")
    rows = [line.split("\t") for line in (sheets / "train.tsv").read_text().splitlines()]
    rows += [line.split("\t") for line in (sheets / "test.tsv").read_text().splitlines()]
    colour_of = {row[0]: row[2] for row in rows}
    assert [colour_of[Path(hit["path"]).name] for hit in found["hits"]] == ["green"] * 3
    assert (tmp_path / "found.png").is_file()
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"a {colour} square\n" for colour in COLOURS))
    picture = str(sheets / "test-0.png")
    told = search(towers.folder, texts, picture, top=1)
    assert told["hits"][0]["text"] == f"a {colour_of['test-0.png']} square"


def test_every_line_is_answered_in_its_place(
    towers: hw.Run, sheets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["a red square\n", "missing.png\n", f"{sheets / 'test-1.png'}\n"]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(lines)))
    answers, found = search_rows(towers.folder, sheets, top=1), []
    with pytest.raises(hw.HeadwaterError, match="1 of 3 rows left out"):
        while True:
            found.append(next(answers))
    assert [row.get("query") for row in found] == ["a red square", None, str(sheets / "test-1.png")]
    assert "cannot be read" in found[1]["error"]


def test_a_picture_that_cannot_be_read_has_no_part_in_recall(
    towers: hw.Run, sheets: Path, tmp_path: Path
) -> None:
    rows = (sheets / "test.tsv").read_text().splitlines()[:11]
    (tmp_path / "some.tsv").write_text("\n".join(rows) + "\n")
    for row in rows[1:]:
        name = row.split("\t")[0]
        (tmp_path / name).write_bytes((sheets / name).read_bytes())
    (tmp_path / rows[3].split("\t")[0]).write_bytes(b"broken")
    report = towers.evaluate(tmp_path / "some.tsv")
    assert isinstance(report, PairReport)
    assert report.there.queries == report.there.things == report.back.queries == 9
    assert report.there.chance_at_1 == pytest.approx(1 / 9)


def test_pictures_ask_for_texts_line_by_line(
    towers: hw.Run, sheets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"a {colour} square\n" for colour in COLOURS))
    picture = str(sheets / "test-0.png")
    (alone,) = search(towers.folder, texts, picture, top=1)["hits"]
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{picture}\n"))
    (answer,) = search_rows(towers.folder, texts, top=1)
    assert answer["hits"] == [alone]


def test_words_make_a_classifier_and_labels_make_it_better(
    towers: hw.Run, sheets: Path, tmp_path: Path
) -> None:
    named = hw.finetune(
        towers,
        sheets / "train.tsv",
        out=tmp_path / "named",
        task="zero_shot",
        label="colour",
        template="a {} square",
        quiet=True,
    )
    report = named.evaluate(sheets / "test.tsv", label="colour")
    assert isinstance(report, ClassificationReport)
    assert report.accuracy.value > 0.6  # a quarter by chance
    (answer,) = named.predict([sheets / "test-0.png"])
    assert abs(sum(answer["probabilities"].values()) - 1) < 1e-4
    tuned = hw.finetune(
        named,
        sheets / "train.tsv",
        out=tmp_path / "tuned",
        label="colour",
        steps=5,
        assign=ASSIGN[:1],
        quiet=True,
    )
    better = tuned.evaluate(sheets / "test.tsv", label="colour")
    assert isinstance(better, ClassificationReport)
    assert better.accuracy.value >= report.accuracy.value - 0.05


def test_one_side_is_a_model_of_its_own(
    towers: hw.Run, sheets: Path, workplace: Path, tmp_path: Path
) -> None:
    pictures = towers.embed([sheets / "test-0.png", sheets / "test-1.png"])
    texts = towers.embed(["a red square"])
    assert pictures.shape == (2, 128)
    assert texts.shape == (1, 128)
    np.testing.assert_allclose(np.linalg.norm(pictures, axis=1), 1.0, rtol=1e-5)
    tuned = hw.finetune(
        towers, workplace / "train.csv", out=tmp_path / "text", steps=3, assign=ASSIGN[:1], quiet=True
    )
    assert tuned.summary.finished


@torch.no_grad()
def test_transformers_gives_the_same_vectors(towers: hw.Run, sheets: Path) -> None:
    folder = towers.path / "model"
    theirs: Any = transformers.CLIPModel.from_pretrained(folder).eval()
    words: Any = transformers.AutoTokenizer.from_pretrained(folder)
    processor: Any = transformers.ViTImageProcessor.from_pretrained(folder)
    texts = ["a red square at the top, number 7", "a white square"]
    pictures = [Image.open(sheets / f"test-{number}.png") for number in range(2)]
    found = theirs(
        **words(texts, padding=True, return_tensors="pt"),
        pixel_values=torch.as_tensor(np.stack(processor(pictures)["pixel_values"])),
    )
    np.testing.assert_allclose(found.text_embeds.numpy(), towers.embed(texts), atol=1e-5)
    names = [sheets / f"test-{number}.png" for number in range(2)]
    np.testing.assert_allclose(found.image_embeds.numpy(), towers.embed(names), atol=1e-5)


def test_a_stopped_run_ends_with_the_same_bits(towers: hw.Run, sheets: Path, tmp_path: Path) -> None:
    settings = json.loads((towers.path / "data.json").read_text())
    assert settings["sides"] == ["image", "text"]
    once, again = (
        hw.pretrain(
            sheets / "train.tsv",
            out=tmp_path / name,
            objective="pair_contrast",
            size="nano",
            steps=16,
            text=["caption"],
            hold_out=sheets / "test.tsv",
            assign=[*ASSIGN, LARGE, "training.checkpoint_steps=11"],  # in the second pass over the pairs
            quiet=True,
        )
        for name in ("once", "again")
    )
    weights = weights_of(again)
    assert weights == weights_of(once)
    assert weights_of(gone_on(again)) == weights


def test_together_or_not(sheets: Path, tmp_path: Path) -> None:
    run = hw.pretrain(
        sheets / "train.tsv",
        out=tmp_path / "run",
        objective="pair_match",
        size="nano",
        steps=60,
        text=["colour"],
        assign=[*ASSIGN, LARGE],
        quiet=True,
    )
    assert run.summary.evaluation["pair_match"] < 0.69
    assert run.summary.evaluation["pair_match_accuracy"] > 0.6


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"pair": ["audio", "text"]}, "no column names recordings"),
        ({"pair": ["image", "words"]}, "expected two of text, image"),
        ({"text": ["colour", "nothing"]}, 'no column "nothing"'),
        ({"assign": ["model.width=64"]}, "two towers are as large as --size says; leave out model.width"),
        ({"probe": "labels.csv"}, "pairs are two; leave --probe out"),
    ],
)
def test_what_cannot_be_is_refused(choices: dict[str, Any], words: str, sheets: Path, tmp_path: Path) -> None:
    with pytest.raises(hw.HeadwaterError, match=words):
        hw.pretrain(
            sheets / "train.tsv",
            out=tmp_path / "run",
            objective="pair_contrast",
            size="nano",
            steps=2,
            quiet=True,
            **choices,
        )
    assert not (tmp_path / "run").exists()
