"""Commands and settings that make no sense, and rows to answer that are no rows."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw

VERBS = {
    "inspect": (2, "Missing argument 'data'"),
    "pretrain": (2, "no data were named; expected files or folders: headwater pretrain notes/"),
    "finetune": (2, "Missing argument 'run'"),
    "evaluate": (2, "Missing argument 'run'"),
    "predict": (2, "Missing argument 'run'"),
    "embed": (2, "Missing argument 'run'"),
    "gain": (2, "Missing argument 'run'"),
    "resume": (2, "Missing argument 'run'"),
    "runs": (66, "there is no folder runs; make a run with: headwater pretrain DATA --out runs/NAME"),
}
SETTINGS = [
    (("--size", "tinny"), 78, "model.size = 'tinny' is unknown; did you mean 'tiny'?"),
    (("--objective", "masked_token"), 78, "did you mean 'masked_tokens'?"),
    (("--steps", "0"), 78, "training.steps = 0; expected a number above 0"),
    (("--steps", "many"), 2, "Invalid value for '--steps'"),
    (("--minutes", "-1"), 78, "training.minutes = -1.0; expected a number above 0"),
    (("--minutes", "nan"), 78, "training.minutes = nan; expected a number above 0"),
    (("--set", "training.learing_rate=1"), 78, "did you mean 'learning_rate'?"),
    (("--set", "trainin.steps=3"), 78, "unknown setting 'trainin'; did you mean 'training'?"),
    (("--set", "training.steps"), 78, "has no '='; write --set training.learning_rate=0.001"),
    (("--set", "training.steps=ten"), 78, "training.steps = 'ten'; expected a whole number"),
    (
        ("--set", "training.adapt=ladder"),
        78,
        "training.adapt = 'ladder'; expected full or head or lora or gradual",
    ),
    (("--set", "training=3"), 78, "training = 3; expected a table of settings"),
    (("--set", "machine.device=tpu"), 78, "machine.device = 'tpu'; expected cpu or cuda"),
    (("--set", "machine.threads=-3"), 78, "machine.threads = -3; expected a number above 0"),
    (("--set", "model.num_heads=7"), 78, "num_heads=7 does not divide width"),
    (("--set", "training.batch_tokens=1"), 2, "a batch of 1 tokens cannot hold one window"),
    (("--hold-out", "missing.csv"), 66, "there is no file or folder missing.csv"),
    (("--continue", "missing"), 66, "there is no model in missing"),
    (("--outt", "x"), 2, "No such option"),
]
TOML = [
    ("[training]\nstep = 3\n", 78, "unknown setting 'training.step'; did you mean 'steps'?"),
    ("a = = b", 78, "is not valid TOML"),
    ("training = 3", 78, "training = 3; expected a table of settings"),
    ('kind = "finetune"', 78, "is of a run of kind 'finetune'; use: headwater finetune"),
]
GAIN = [
    (("--budgets", "0,abc"), 2, "'0' is no label budget; expected numbers above 0 and 'all'"),
    (("--seeds", "0"), 2, "seeds = 0; expected 1 or more"),
    (("--rates", "2"), 2, "rates = 2; expected 3, or 1"),
    (("--minutes", "-1"), 2, "minutes = -1.0; expected a number above 0"),
    (("--arms", "lstm"), 2, "'lstm' is no arm; choose among pretrained, scratch"),
    (("--task", "poetry"), 2, "gain measures classification; found task 'poetry'"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_without_arguments_says_what_it_needs(
    verb: str, told: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, words = VERBS[verb]
    seen = told("no arguments", verb)
    assert seen.code == code
    assert words in seen.err


def test_a_verb_that_does_not_exist_proposes_the_nearest(told: Callable[..., Any]) -> None:
    seen = told("a verb that does not exist", "pretrian")
    assert seen.code == 2
    assert "Did you mean 'pretrain'?" in seen.err


@pytest.mark.parametrize(("options", "code", "words"), SETTINGS, ids=[" ".join(case[0]) for case in SETTINGS])
def test_a_setting_that_makes_no_sense_is_explained(
    options: tuple[str, ...], code: int, words: str, told: Callable[..., Any], workplace: Path, tmp_path: Path
) -> None:
    title = f"`{' '.join(options)}`"
    short = () if "--size" in options else ("--size", "nano")
    seen = told(title, "pretrain", workplace / "notes.jsonl", "--out", tmp_path / "run", *short, *options)
    assert seen.code == code
    assert words in seen.err
    assert seen.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("content", "code", "words"), TOML, ids=[case[0][:20] for case in TOML])
def test_a_settings_file_that_makes_no_sense_is_explained(
    content: str, code: int, words: str, told: Callable[..., Any], workplace: Path, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(content)
    title = f"a settings file with {content.splitlines()[-1]}"
    data = (workplace / "notes.jsonl", "--steps", "1", "--out", tmp_path / "run")
    seen = told(title, "pretrain", *data, "--from", tmp_path / "s.toml")
    assert seen.code == code
    assert words in seen.err


@pytest.mark.parametrize(("options", "code", "words"), GAIN, ids=[case[0][0] for case in GAIN])
def test_a_gain_that_measures_nothing_is_refused(
    options: tuple[str, ...],
    code: int,
    words: str,
    told: Callable[..., Any],
    pretrained: "hw.Run",
    workplace: Path,
) -> None:
    files = (pretrained.path, workplace / "train.csv", "--test", workplace / "test.csv")
    seen = told(f"`{' '.join(options)}`", "gain", *files, *options)
    assert seen.code == code
    assert words in seen.err


def test_a_test_that_the_model_has_read_is_refused_before_training(
    told: Callable[..., Any], workplace: Path, tmp_path: Path
) -> None:
    quick = ("--size", "nano", "--steps", "1", "--set", "machine.threads=1")
    told(
        "pre-training on the test rows", "pretrain", workplace / "test.csv", "--out", tmp_path / "run", *quick
    )
    files = (tmp_path / "run", workplace / "train.csv", "--test", workplace / "test.csv")
    seen = told("a test that the model has read", "gain", *files)
    assert seen.code == 65
    assert "test rows in what the model was trained on before" in seen.err
    assert "pre-train again with --hold-out" in seen.err


@pytest.mark.parametrize(
    ("run", "words"), [("scracth", "'scratch' for random weights"), ("notes.jsonl", "name a run folder")]
)
def test_a_start_that_is_no_run_is_named(
    run: str, words: str, told: Callable[..., Any], workplace: Path, tmp_path: Path
) -> None:
    seen = told(
        f"finetune {run}", "finetune", workplace / run, workplace / "train.csv", "--out", tmp_path / "run"
    )
    assert seen.code == 66
    assert words in seen.err


def test_a_size_for_a_run_that_has_one_is_refused(
    told: Callable[..., Any], pretrained: "hw.Run", workplace: Path, tmp_path: Path
) -> None:
    given = (pretrained.path, workplace / "train.csv", "--size", "base", "--out", tmp_path / "run")
    seen = told("a size for a run that has one", "finetune", *given)
    assert seen.code == 2
    assert "brings its size; only 'scratch' takes one" in seen.err


@pytest.mark.slow
def test_two_rows_of_a_class_at_budget_eight_are_all_used_and_said(
    told: Callable[..., Any], pretrained: "hw.Run", workplace: Path, tmp_path: Path
) -> None:
    lines = (workplace / "train.csv").read_text(encoding="utf-8").splitlines()
    rare = [line for line in lines if line.endswith("weather")][:3]
    rest = [line for line in lines if not line.endswith("weather")]
    (tmp_path / "train.csv").write_text("\n".join([*rest, *rare]), encoding="utf-8")
    shutil.copytree(pretrained.path, tmp_path / "run")
    files = (tmp_path / "run", tmp_path / "train.csv", "--test", workplace / "test.csv")
    quick = ("--budgets", "8", "--seeds", "1", "--set", "training.steps=1", "--set", "machine.threads=1")
    said = "fewer than 8 rows, all used: weather ("
    seen = told("fewer rows of a class than the budget", "gain", *files, *quick, about=said)
    assert seen.code == 0
    assert said in seen.err


ASKED = b"""{"text": "rain and wind"}
{"text": broken
plain words
{"other": 1}
\xff\xfe bytes
{"text": null}

{"text": "\\ud800"}
{"text": 3}
"""


def test_each_line_that_cannot_be_read_is_answered_by_its_reason(
    told: Callable[..., Any], finetuned: "hw.Run"
) -> None:
    seen = told("lines that are no rows, on standard input", "predict", finetuned.path, stdin=ASKED)
    answers = [json.loads(line) for line in seen.out.splitlines()]
    assert seen.code == 65
    assert [answer["row"] for answer in answers if "error" in answer] == [2, 4, 5, 6, 8]
    assert ["label" in answer for answer in answers] == [True, False, True, False, False, False, False, True]
    assert "5 of 8 rows left out: 1 invalid JSON, 1 no text column" in seen.err


def test_vectors_of_the_good_rows_are_written_and_the_bad_ones_said(
    told: Callable[..., Any], pretrained: "hw.Run", tmp_path: Path
) -> None:
    out = tmp_path / "new" / "vectors.npy"
    seen = told("embed with one bad line", "embed", pretrained.path, "-", "--out", out, stdin=b"rain\n\xff\n")
    assert seen.code == 65
    assert "1 of 2 rows left out: 1 undecodable bytes" in seen.err
    vectors = np.load(out)
    assert vectors.shape == (2, 128)
    assert np.isfinite(vectors).all(axis=1).tolist() == [True, False]  # each row in its place


def test_nothing_to_answer_is_answered_by_nothing(told: Callable[..., Any], finetuned: "hw.Run") -> None:
    seen = told("an empty standard input", "predict", finetuned.path)
    assert (seen.code, seen.out) == (0, "")


def test_json_and_an_error_leave_standard_output_empty(
    told: Callable[..., Any], finetuned: "hw.Run", tmp_path: Path
) -> None:
    seen = told("an error with --json", "evaluate", finetuned.path, tmp_path / "missing.csv", "--json")
    assert (seen.code, seen.out) == (66, "")
    assert seen.err.count("\n") == 1
