"""Pairs of texts that people found more or less alike: learnt, judged, asked, and searched with the same vectors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import headwater as hw
from headwater.errors import UsageError
from tests.end_to_end.conftest import Seen

COLOURS = ("red", "green", "blue", "white", "black", "yellow")
ANIMALS = ("fox", "heron", "badger", "otter", "mole", "stoat")
PLACES = ("river", "barn", "mill", "church", "harbour", "bridge")


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Two sentences, and how many of three things they share."""
    rng = np.random.default_rng(seed)
    found: list[dict[str, Any]] = []
    for _ in range(count):
        one = [rng.integers(6) for _ in range(3)]
        other = [number if rng.random() < 0.5 else rng.integers(6) for number in one]
        colour, animal, place = (COLOURS[one[0]], ANIMALS[one[1]], PLACES[one[2]])
        left = f"a {colour} {animal} stood at the {place}"
        right = f"at the {PLACES[other[2]]} we met a {COLOURS[other[0]]} {ANIMALS[other[1]]}"
        shared = sum(a == b for a, b in zip(one, other, strict=True))
        found.append({"first": left, "second": right, "score": float(shared)})
    return found


@pytest.fixture(scope="module")
def files(workplace: Path) -> dict[str, Path]:
    folder = workplace / "alike"
    folder.mkdir()
    paths: dict[str, Path] = {}
    for name, count, seed in (("train", 400, 1), ("valid", 40, 2), ("test", 100, 3)):
        paths[name] = folder / f"{name}.jsonl"
        paths[name].write_text("".join(json.dumps(row) + "\n" for row in rows(count, seed)))
    return paths


@pytest.fixture(scope="module")
def judge(workplace: Path, pretrained: hw.Run, files: dict[str, Path]) -> hw.Run:
    return hw.finetune(
        pretrained,
        files["train"],
        task="similarity",
        text=["first", "second"],
        out=workplace / "alike" / "judge",
        validation=files["valid"],
        steps=130,
        assign=["training.learning_rate=0.005", "training.micro_batches=1"],
        quiet=True,
    )


def test_likeness_is_learnt_and_judged_with_intervals(judge: hw.Run, files: dict[str, Path]) -> None:
    found = judge.evaluate(files["test"]).to_dict()
    assert found["pearson"]["value"] > 0.7
    assert found["pearson"]["low"] < found["pearson"]["value"] < found["pearson"]["high"]
    assert set(judge.summary.evaluation) >= {"loss", "pearson"}


def test_the_answer_is_the_cosine_of_the_vectors_that_transformers_gives_too(judge: hw.Run) -> None:
    pair = ("a red fox stood at the mill", "at the mill we met a red heron")
    (answer,) = judge.predict([pair])
    one, other = judge.embed(list(pair))
    cosine = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    assert answer["value"] == pytest.approx(3.0 * cosine, abs=1e-5)  # numbers from 0 to 3
    model: Any = transformers.AutoModel.from_pretrained(judge.path / "model").eval()
    words = transformers.AutoTokenizer.from_pretrained(judge.path / "model")
    with torch.no_grad():
        states = [model(**words(text, return_tensors="pt")).last_hidden_state[0].mean(0) for text in pair]
    assert float(torch.cosine_similarity(*states, dim=0)) == pytest.approx(cosine, abs=1e-5)


def test_half_a_pair_is_no_row(judge: hw.Run, files: dict[str, Path], told: Callable[..., Seen]) -> None:
    seen = told(
        "",
        "predict",
        judge.path,
        "-",
        "--quiet",
        stdin=b'a red fox\n{"first": "a fox", "second": "a mole"}\n',
    )
    first, second = map(json.loads, seen.out.splitlines())
    assert first == {"row": 1, "error": "not two texts to compare"}
    assert set(second) == {"value"}
    assert seen.code == 65
    for ask in (lambda: judge.predict(["a red fox"]), lambda: judge.evaluate(files["test"], text=["first"])):
        with pytest.raises(UsageError, match="expected two to compare"):
            ask()
    assert judge.predict({"second": "a mole", "first": "a fox"}) == judge.predict([("a fox", "a mole")])


def test_search_finds_by_the_same_vectors(judge: hw.Run, tmp_path: Path) -> None:
    lines = [
        "a red fox stood at the mill",
        "a white mole stood at the barn",
        "a blue otter stood at the bridge",
    ]
    (tmp_path / "seen.txt").write_text("\n".join(lines))
    first = judge.search([tmp_path / "seen.txt"], "at the barn we met a white mole", top=1)[0]
    assert first["text"] == lines[1]


def test_a_run_says_what_it_understood(
    files: dict[str, Path], pretrained: hw.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = ["first", "second"], tmp_path / "run"
    hw.finetune(pretrained, files["train"], task="similarity", text=text, out=out, steps=2)
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "400 pairs with numbers from 0 (unlike) to 3 (alike) in column 'score'; texts: first, second" in said
    )
    card = json.loads((out / "model" / "headwater.json").read_text())
    assert (card["low"], card["high"], card["pooling"]) == (0.0, 3.0, "mean")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([{"first": "a b", "second": "c d", "score": "2"}] * 3, "holds the number 2 in every row"),
        ([{"first": "a b", "score": "2"}, {"first": "c d", "score": "3"}], 'there is no column "second"'),
    ],
    ids=["equal numbers", "one text"],
)
def test_rows_that_say_nothing_are_refused(table: list[dict[str, str]], words: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    with pytest.raises(hw.HeadwaterError, match=words):
        hw.finetune(
            "scratch",
            tmp_path / "rows.jsonl",
            task="similarity",
            text=["first", "second"],
            out=tmp_path / "run",
            quiet=True,
        )
