"""One answer for two things of a row: a picture and a question about it, learnt, judged, asked for and resumed."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import headwater as hw
from headwater.data.sequencers import Sides
from headwater.evaluation.metrics.classification import ClassificationReport
from headwater.run.reading import Reader
from headwater.run.tasks.classification import ClassificationTask
from tests.end_to_end.squares import COLOURS, PLACES, draw
from tests.end_to_end.stopped import gone_on, weights_of

QUESTIONS = {
    "colour": ("what colour is it?", "which colour has the square?"),
    "place": ("where is it?", "where to look?"),
}
ASSIGN = ["machine.threads=1", "training.checkpoint_steps=40", "training.batch_rows=32"]
LARGE = "model.patch=4"
"""A quarter as many patches."""
STEPS = 40


def table(folder: Path, name: str, count: int, seed: int) -> Path:
    """The answer is a colour or a place: half of the rows ask for one, half for the other."""
    rng = np.random.default_rng(seed)
    lines = ["picture\tquestion\tnumber\tanswer"]
    for number in range(count):
        colour, place = str(rng.choice(list(COLOURS))), str(rng.choice(PLACES))
        draw(folder / f"{name}-{number}.png", colour, place, 1000 * seed + number)
        asked = str(rng.choice(list(QUESTIONS)))
        question = str(rng.choice(QUESTIONS[asked]))
        answer = colour if asked == "colour" else place
        lines.append(f"{name}-{number}.png\t{question}\t{len(question) + PLACES.index(place)}\t{answer}")
    path = folder / f"{name}.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def quiz(workplace: Path, cache: object) -> Path:
    folder = workplace / "quiz"
    folder.mkdir()
    table(folder, "train", 240, 1)
    table(folder, "test", 80, 2)
    return folder


def tune(start: Any, quiz: Path, out: Path, **more: Any) -> hw.Run:
    choices: dict[str, Any] = {
        "pair": ["image", "text"],
        "label": "answer",
        "steps": STEPS,
        "quiet": True,
        **more,
    }
    assign = [*ASSIGN, *choices.pop("assign", ())]
    if start == "scratch":
        choices.setdefault("size", "nano")
        assign.append(LARGE)
    return hw.finetune(start, quiz / "train.tsv", out=out, assign=assign, **choices)


@pytest.fixture(scope="module")
def tuned(workplace: Path, quiz: Path) -> hw.Run:
    return tune("scratch", quiz, workplace / "answers")


@pytest.fixture(scope="module")
def towers(workplace: Path, quiz: Path) -> hw.Run:
    return hw.pretrain(
        quiz / "train.tsv",
        out=workplace / "quiz-towers",
        objective="pair_contrast",
        pair=["image", "text"],
        text=["question"],
        size="nano",
        steps=6,
        assign=ASSIGN,
        quiet=True,
    )


def accuracy(run: hw.Run, path: Path, **more: Any) -> float:
    report = run.evaluate(path, label="answer", **more)
    assert isinstance(report, ClassificationReport)
    return report.accuracy.value


def test_both_sides_say_more_than_either(tuned: hw.Run, quiz: Path) -> None:
    # Whoever sees the question alone is right once in four times, whoever sees the picture alone every second time.
    assert accuracy(tuned, quiz / "test.tsv") > 0.75
    card = json.loads((tuned.path / "model" / "headwater.json").read_text())
    assert card["side_columns"] == {"image": ["picture"], "text": ["question"]}


def test_rows_are_asked_for_by_python_tables_and_lines(
    tuned: hw.Run, quiz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, question = quiz / "test-0.png", QUESTIONS["colour"][0]
    pixels = np.asarray(Image.open(picture))
    same = [
        *tuned.predict([(picture, question), (pixels, question), {"picture": picture, "question": question}]),
        *tuned.predict([{"image": str(picture), "text": question}]),
    ]
    lines = [
        f"{picture}\t{question}\n",
        json.dumps({"picture": str(picture), "question": question}) + "\n",
        f"missing.png\t{question}\n",
        f"{picture}\n",
        "\n",
        '{"picture": 3\n',
        json.dumps({"picture": "no\0file.png", "question": question}) + "\n",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(lines)))
    answers, found = tuned.predict_rows("-"), []
    with pytest.raises(hw.HeadwaterError, match="4 of 6 rows left out"):
        found.extend(answers)
    assert [row.get("row") for row in found] == [None, None, 3, 4, 6, 7]
    assert "missing.png cannot be read" in found[2]["error"]
    assert "a file of pictures (picture) and a text (question)" in found[3]["error"]
    assert {answer["label"] for answer in (*same, *found[:2])} == {same[0]["label"]}


def test_rows_of_a_table_have_their_place(tuned: hw.Run, quiz: Path, tmp_path: Path) -> None:
    rows = (quiz / "test.tsv").read_text().splitlines()[:5]
    for row in rows[1:]:
        name = row.split("\t")[0]
        (tmp_path / name).write_bytes((quiz / name).read_bytes())
    (tmp_path / rows[2].split("\t")[0]).write_bytes(b"broken")
    (tmp_path / "some.tsv").write_text("\n".join(rows) + "\n")
    answers: list[dict[str, Any]] = []
    with pytest.raises(hw.HeadwaterError, match="1 of 4 rows left out"):
        answers.extend(tuned.predict_rows(str(tmp_path / "some.tsv")))
    assert [row.get("row") for row in answers] == [None, 2, None, None]
    assert tuned.predict([]) == []
    assert tuned.embed([(quiz / "test-0.png", "what colour is it?")]).shape[0] == 1


def test_a_wrong_row_is_refused_in_words(tuned: hw.Run, quiz: Path) -> None:
    wrong: list[Any] = [
        "what colour is it?",
        (quiz / "test-0.png",),
        {"picture": quiz / "test-0.png"},
        (quiz, None),
    ]
    for row in wrong:
        with pytest.raises(hw.HeadwaterError, match=r"a file of pictures \(picture\) and a text"):
            tuned.predict([row])


def test_an_array_of_another_shape_is_refused_in_words(tuned: hw.Run, quiz: Path) -> None:
    for thing in (5, b"abc", np.zeros((2, 2, 2, 3))):
        with pytest.raises(hw.HeadwaterError, match=r"expected a file or an array \(H, W\) or \(H, W, K\)"):
            tuned.predict([(thing, "what colour is it?")])  # pyright: ignore[reportArgumentType]
    with pytest.raises(hw.HeadwaterError, match="answers both sides of a row together"):
        tuned.search(quiz, "a red square")


def test_a_card_that_was_edited_is_named(tuned: hw.Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tuned.path, copy)
    card = copy / "model" / "headwater.json"
    for wrong in (5, {"image": "picture"}):
        card.write_text(json.dumps(json.loads(card.read_text()) | {"side_columns": wrong}))
        with pytest.raises(hw.HeadwaterError, match="was edited: 'side_columns' is"):
            hw.open_run(copy).predict([("a.png", "what colour is it?")])


def test_lines_of_which_none_can_be_answered_have_their_place(
    tuned: hw.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("missing.png\twhat colour is it?\n"))
    found: list[dict[str, Any]] = []
    with pytest.raises(hw.HeadwaterError, match="1 of 1 rows left out"):
        found.extend(tuned.embed_rows("-"))
    assert [row["row"] for row in found] == [1]


@torch.no_grad()
def test_what_is_read_off_two_towers(tuned: hw.Run, quiz: Path) -> None:
    """Against the equation, each tower asked for itself."""
    from headwater.data.cutting import PictureCut
    from headwater.data.pair_cut import PairCut
    from headwater.models import TwoTowers
    from headwater.nn.heads import JointHead
    from headwater.run.fitting import inputs_of, read_once

    reader, _ = Reader.of_run(tuned.folder)
    towers, sides = reader.model.backbone, reader.sequencer
    assert isinstance(towers, TwoTowers)
    assert isinstance(sides, Sides)
    rows = ClassificationTask.read_rows(
        quiz / "test.tsv",
        text=None,
        label="answer",
        split="test",
        cut=PairCut(("image", "text"), (PictureCut(16, 4, 3), None)),
    )
    contents = [row.content for row in rows.examples[:6]]
    (batch,) = read_once(inputs_of(contents, sides), sides, reader.length)
    said, vectors = [], []
    for tower, inputs, layout in (
        (towers.first, batch.inputs, batch.layout),
        (towers.second, batch.targets, batch.target_layout),
    ):
        assert inputs is not None
        assert layout is not None
        states = tower.stack(inputs, layout).double()
        real = layout.real.double()
        last = (layout.real * torch.arange(layout.real.shape[1])).argmax(1)
        place = torch.zeros_like(last) if tower is towers.first else last
        pooled = states[torch.arange(len(states)), place]
        said += [pooled, (states * real[..., None]).sum(1) / real.sum(1, keepdim=True)]
        vector = pooled @ tower.projection.weight.double().T
        vectors.append(vector / vector.norm(dim=1, keepdim=True))
    expected = torch.cat([*said, vectors[0] * vectors[1] * vectors[0].shape[1]], dim=1)
    torch.testing.assert_close(towers.features(batch).double(), expected, atol=1e-5, rtol=1e-5)
    head = reader.model.heads["classification"]
    assert isinstance(head, JointHead)
    logits = expected @ head.classifier.weight.double().T + head.classifier.bias.double()
    found = torch.from_numpy(
        np.array(
            [list(row["probabilities"].values()) for row in tuned.predict([_asked(c) for c in contents])]
        )
    )
    torch.testing.assert_close(found, logits.softmax(1), atol=1e-5, rtol=1e-4)


def _asked(content: Any) -> tuple[Any, str]:
    return np.array(content.first), content.second


def test_a_run_of_pairs_is_begun_from_and_keeps_its_sides(towers: hw.Run, quiz: Path, tmp_path: Path) -> None:
    start = tune(towers, quiz, tmp_path / "tuned", steps=4, pair=["text", "image"])
    assert json.loads((start.path / "model" / "headwater.json").read_text())["side_columns"]["text"] == [
        "question"
    ]
    assert 0.0 < accuracy(start, quiz / "test.tsv") <= 1.0
    again = tune(start, quiz, tmp_path / "again", steps=2)  # a fine-tuned one gets a new head
    assert again.summary.finished
    one_side = hw.finetune(
        start,
        quiz / "train.tsv",
        out=tmp_path / "one",
        label="answer",
        steps=2,
        assign=ASSIGN[:1],
        quiet=True,
    )
    assert one_side.predict([quiz / "test-0.png"])[0]["label"]


@pytest.mark.parametrize("adapt", ["head", "lora", "gradual"])
def test_every_way_of_fine_tuning(towers: hw.Run, quiz: Path, tmp_path: Path, adapt: str) -> None:
    run = tune(towers, quiz, tmp_path / "run", steps=3, adapt=adapt)
    assert 0.0 < accuracy(run, quiz / "test.tsv") <= 1.0


@pytest.mark.parametrize("task", ["regression", "multi_label_classification"])
def test_numbers_and_several_labels(quiz: Path, tmp_path: Path, task: str) -> None:
    label = "number" if task == "regression" else "answers"
    rows = [line.split("\t") for line in (quiz / "train.tsv").read_text().splitlines()]
    lines = [
        [quiz / name, asked, number, f"{answer}|{asked[:5]}"] for name, asked, number, answer in rows[1:200]
    ]
    written = "\n".join(
        "\t".join(map(str, row)) for row in [["picture", "question", "number", "answers"], *lines]
    )
    (quiz / f"{task}.tsv").write_text(written + "\n")
    run = hw.finetune(
        "scratch",
        quiz / f"{task}.tsv",
        out=tmp_path / "run",
        task=task,
        pair=["image", "text"],
        label=label,
        size="nano",
        steps=30,
        assign=[*ASSIGN[:1], LARGE],
        quiet=True,
    )
    (answer,) = run.predict([(quiz / "test-0.png", "where is it?")])
    assert {"regression": "value", "multi_label_classification": "labels"}[task] in answer
    report = run.evaluate(quiz / f"{task}.tsv", label=label).to_dict()
    name = "pearson" if task == "regression" else "micro_f1"
    assert report[name]["value"] > 0.5


def test_a_stopped_run_ends_with_the_same_bits(quiz: Path, tmp_path: Path) -> None:
    short: dict[str, Any] = {"steps": 12, "assign": ["training.checkpoint_steps=9"]}  # in the second pass
    once, again = (tune("scratch", quiz, tmp_path / name, **short) for name in ("once", "again"))
    weights = weights_of(once)
    assert weights_of(again) == weights
    assert weights_of(gone_on(again)) == weights


def test_gain_of_both_sides(towers: hw.Run, quiz: Path) -> None:
    found = hw.gain(
        towers,
        quiz / "train.tsv",
        test=quiz / "test.tsv",
        pair=["image", "text"],
        label="answer",
        budgets="2",
        seeds=1,
        rates=1,
        assign=["training.steps=4", "machine.threads=1"],
        quiet=True,
    )
    arms = {row["arm"] for row in found.to_dict()["summary"]}
    assert arms == {"pretrained", "scratch", "floor"}
    page = found.report.read_text()
    assert "logistic regression on pixels beside TF-IDF and logistic regression" in page


REFUSALS: dict[str, tuple[Callable[[Path, hw.Run, Path], object], str]] = {
    "other sides": (
        lambda quiz, towers, out: tune(towers, quiz, out, pair=["audio", "text"]),
        "--pair image,text",
    ),
    "a run of text": (
        lambda quiz, towers, out: tune(out.parent / "text", quiz, out),
        "reads one kind of data, and --pair names two",
    ),
    "a task of texts": (
        lambda quiz, towers, out: tune("scratch", quiz, out, task="tagging"),
        "reads text|two sides of a row",
    ),
    "sizes that are brought": (
        lambda quiz, towers, out: tune(towers, quiz, out, assign=["data.side=32"]),
        "goes on in the sizes",
    ),
    "an arm that does not exist": (
        lambda quiz, towers, out: hw.gain(
            towers,
            quiz / "train.tsv",
            test=quiz / "test.tsv",
            pair=["image", "text"],
            label="answer",
            arms="pretrained,recurrent",
            quiet=True,
        ),
        "found the arm recurrent",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_does_not_fit_is_refused(
    quiz: Path, towers: hw.Run, workplace: Path, tmp_path: Path, what: str
) -> None:
    if what == "a run of text":
        hw.pretrain(
            workplace / "train.csv",
            out=tmp_path / "text",
            size="nano",
            steps=1,
            assign=ASSIGN[:1],
            quiet=True,
        )
    attempt, said = REFUSALS[what]
    with pytest.raises(hw.HeadwaterError, match=said):
        attempt(quiz, towers, tmp_path / "out")
    assert not (tmp_path / "out").exists()
