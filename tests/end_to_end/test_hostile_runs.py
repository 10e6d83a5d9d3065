"""Runs that are none, unfinished, damaged or edited."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.errors import TrainingStoppedError

WEIGHTS = "model/model.safetensors"
CONFIG = "model/config.json"
CARD = "model/headwater.json"


def flip(path: Path, place: int = -50) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGE: list[tuple[str, Callable[[Path], object], int, str]] = [
    ("weights cut short", lambda run: cut(run / WEIGHTS), 65, "fetch or make it again"),
    ("one bit of the weights flipped", lambda run: flip(run / WEIGHTS), 65, "is not what was shipped"),
    ("the weights' header damaged", lambda run: flip(run / WEIGHTS, 12), 65, "fetch or make it again"),
    ("weights of zero bytes", lambda run: (run / WEIGHTS).write_bytes(b""), 65, "is damaged"),
    (
        "weights gone",
        lambda run: (run / WEIGHTS).unlink(),
        66,
        "has no model.safetensors; copy the whole folder",
    ),
    ("config.json: another width", lambda run: edit(run / CONFIG, hidden_size=256), 65, "changed by hand"),
    (
        "config.json: another depth",
        lambda run: edit(run / CONFIG, num_hidden_layers=3),
        65,
        "describes no model",
    ),
    (
        "config.json: another family",
        lambda run: edit(run / CONFIG, model_type="reformer"),
        65,
        "this program can load",
    ),
    (
        "config.json: heads = 'x'",
        lambda run: edit(run / CONFIG, num_attention_heads="x"),
        65,
        "expected a whole",
    ),
    ("config.json cut short", lambda run: (run / CONFIG).write_text("{"), 65, "its JSON cannot be read"),
    (
        "tokenizer.json emptied",
        lambda run: (run / "model/tokenizer.json").write_text("{}"),
        65,
        "is not a tokenizer",
    ),
    ("tokenizer.json gone", lambda run: (run / "model/tokenizer.json").unlink(), 66, "no vocabulary at"),
    (
        "headwater.json: labels = 3",
        lambda run: edit(run / CARD, labels=3),
        65,
        "'labels' is 3; restore the file",
    ),
    ("headwater.json: length = 'x'", lambda run: edit(run / CARD, length="x"), 65, "'length' is 'x'"),
    ("headwater.json gone", lambda run: (run / CARD).unlink(), 65, "is missing or was edited"),
    ("no model yet", lambda run: shutil.rmtree(run / "model"), 66, "finish it first: headwater resume"),
]


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[["hw.Run"], Path]:
    return lambda run: Path(shutil.copytree(run.path, tmp_path / "run"))


@pytest.mark.parametrize(("title", "damage", "code", "words"), DAMAGE, ids=[case[0] for case in DAMAGE])
def test_a_damaged_model_never_answers(
    title: str,
    damage: Callable[[Path], object],
    code: int,
    words: str,
    told: Callable[..., Any],
    finetuned: "hw.Run",
    copy_of: Callable[["hw.Run"], Path],
) -> None:
    run = copy_of(finetuned)
    damage(run)
    seen = told(title, "predict", run, stdin=b"rain and wind\n")
    assert seen.code == code
    assert words in seen.err
    assert seen.out == ""


@pytest.mark.parametrize("verb", ["evaluate", "predict", "embed", "gain", "resume"])
def test_a_folder_that_is_no_run_is_named(
    verb: str, told: Callable[..., Any], workplace: Path, tmp_path: Path
) -> None:
    more = {
        "evaluate": [workplace / "test.csv"],
        "gain": [workplace / "train.csv", "--test", workplace / "test.csv"],
    }
    (tmp_path / "photos").mkdir()
    seen = told("a folder that is no run", verb, tmp_path / "photos", *more.get(verb, []))
    assert seen.code == 66
    assert (
        f"is not a run: it holds no settings.toml; name the folder of a run, as listed by: headwater runs {tmp_path}"
        in (seen.err)
    )


@pytest.mark.parametrize("verb", ["evaluate", "gain", "finetune"])
def test_an_unfinished_run_says_how_to_finish_it(
    verb: str,
    told: Callable[..., Any],
    pretrained: "hw.Run",
    copy_of: Callable[["hw.Run"], Path],
    workplace: Path,
    tmp_path: Path,
) -> None:
    run = copy_of(pretrained)
    shutil.rmtree(run / "model")
    more = {
        "evaluate": [workplace / "test.csv"],
        "gain": [workplace / "train.csv", "--test", workplace / "test.csv"],
        "finetune": [workplace / "train.csv", "--out", tmp_path / "tuned"],
    }
    seen = told("a run that was never finished", verb, run, *more[verb])
    assert seen.code == 66
    assert f"finish it first: headwater resume {run}" in seen.err


def test_a_run_without_labels_says_how_to_get_some(
    told: Callable[..., Any], pretrained: "hw.Run", workplace: Path
) -> None:
    seen = told("a run that was only pre-trained", "predict", pretrained.path, workplace / "test.csv")
    assert seen.code == 2
    assert "which gives no answers; fine-tune it first: headwater finetune" in seen.err


def test_a_run_folder_in_use_is_never_written_over(
    told: Callable[..., Any], pretrained: "hw.Run", workplace: Path
) -> None:
    seen = told("--out that is in use", "pretrain", workplace / "notes.jsonl", "--out", pretrained.path)
    assert seen.code == 2
    assert f"go on with it: headwater resume {pretrained.path}" in seen.err


def test_a_finished_run_is_finished(told: Callable[..., Any], pretrained: "hw.Run") -> None:
    seen = told("resuming a finished run", "resume", pretrained.path)
    assert seen.code == 0
    assert "finished" in seen.out


def newest(run: Path) -> Path:
    return max((run / "checkpoints").glob("step-*"))


def test_a_damaged_checkpoint_is_passed_over_and_said(
    told: Callable[..., Any], pretrained: "hw.Run", copy_of: Callable[["hw.Run"], Path]
) -> None:
    run = copy_of(pretrained)
    shutil.rmtree(run / "model")
    flip(newest(run) / "model.safetensors")
    verified = told("verifying a damaged checkpoint", "resume", run, "--verify", about="the content changed")
    assert verified.code == 74
    assert "the content changed since it was written" in verified.out
    seen = told("resuming after the newest checkpoint was damaged", "resume", run, about="was passed over")
    assert seen.code == 0
    assert "was passed over: model.safetensors: the content changed" in seen.err
    assert (run / WEIGHTS).read_bytes() == (pretrained.path / WEIGHTS).read_bytes()


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_again_by_itself(
    told: Callable[..., Any], pretrained: "hw.Run", copy_of: Callable[["hw.Run"], Path]
) -> None:
    run = copy_of(pretrained)
    shutil.rmtree(run / "model")
    for folder in (run / "checkpoints").glob("step-*"):
        flip(folder / "model.safetensors")
    seen = told("every checkpoint damaged", "resume", run)
    assert seen.code == 74
    assert "Restore the folder from a backup, or remove it to start again at step 0" in seen.err


def test_one_damaged_run_does_not_hide_the_others(
    told: Callable[..., Any], pretrained: "hw.Run", finetuned: "hw.Run", tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(pretrained.path, runs / "good")
    shutil.copytree(finetuned.path, runs / "bad")
    (runs / "bad" / CARD).write_text("{")
    seen = told("one damaged run among others", "runs", runs, about="is damaged")
    assert seen.code == 0
    assert "good" in seen.out
    assert "headwater.json is damaged" in seen.out
    (runs / "bad" / "settings.toml").write_text("a =")
    words = "is not valid TOML"
    assert words in told("settings cut short", "runs", runs, about=words).out


@pytest.mark.parametrize("kind", ["pretrained", "finetuned"])
def test_a_run_does_not_go_on_over_other_data(
    kind: str,
    told: Callable[..., Any],
    request: pytest.FixtureRequest,
    copy_of: Callable[["hw.Run"], Path],
    tmp_path: Path,
    workplace: Path,
) -> None:
    run = copy_of(request.getfixturevalue(kind))
    shutil.rmtree(run / "model")
    source = workplace / {"pretrained": "notes.jsonl", "finetuned": "train.csv"}[kind]
    data = tmp_path / source.name
    shutil.copy(source, data)
    settings = (run / "settings.toml").read_text(encoding="utf-8")
    (run / "settings.toml").write_text(settings.replace(str(source), str(data)), encoding="utf-8")
    facts = json.loads((run / "data.json").read_text(encoding="utf-8"))
    lines = data.read_text(encoding="utf-8").splitlines()
    data.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    seen = told(f"a {kind} run whose data have changed", "resume", run)
    assert seen.code == 65
    assert "has begun to learn from other data than stand there now" in seen.err
    assert json.loads((run / "data.json").read_text(encoding="utf-8")) == facts


@pytest.mark.parametrize("objective", ["masked_tokens", "sentence_order"])
def test_a_run_whose_loss_is_no_number_names_the_rows(
    workplace: Path, tmp_path: Path, objective: str
) -> None:
    with pytest.raises(TrainingStoppedError) as stopped:
        hw.pretrain(
            workplace / "notes.jsonl",
            objective=objective,
            size="nano",
            steps=8,
            out=tmp_path / "run",
            assign=["training.length=64", "training.batch_tokens=128", "training.learning_rate=1e30"],
            quiet=True,
        )
    assert f"on {workplace / 'notes.jsonl'} row " in str(stopped.value)


def test_a_fine_tuning_whose_loss_is_no_number_names_the_rows(
    workplace: Path, pretrained: hw.Run, tmp_path: Path
) -> None:
    with pytest.raises(TrainingStoppedError, match=r"train\.csv row \d+, .*train\.csv row"):
        hw.finetune(
            pretrained,
            workplace / "train.csv",
            out=tmp_path / "run",
            steps=8,
            assign=["training.learning_rate=1e30"],
            quiet=True,
        )
