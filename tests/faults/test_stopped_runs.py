"""Ctrl-C and the signals of batch systems, at every stage of the whole program."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

INT, TERM, USR1 = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1
SMALL = ("training.length=32", "model.width=64", "model.num_heads=2", "training.batch_tokens=384")
RHYTHM = ("training.checkpoint_steps=3", "training.evaluation_steps=5")

# The function at whose beginning the signal comes, and which call of it.
VOCABULARY = ("headwater.data.tokenizer:Tokenizer.learn", 1)
POOL = ("headwater.data.pool:write_store", 1)
MEASURING = ("headwater.run.pretraining:seconds_a_step", 1)
STEP = ("headwater.training.loop:_clip", 5)
EVALUATION = ("headwater.run.held_out:HeldOut.__call__", 1)
SAVE = ("headwater.training.checkpoint:CheckpointFolder._write", 2)
SHIPPING = ("headwater.run.pretraining:ship_pretrained", 1)

Finish = Callable[..., str]


@pytest.fixture(scope="session")
def finished(headwater: Any, attacked: Path) -> Path:
    """The run that nobody stopped."""
    out = attacked / "never stopped"
    ended = headwater(*command(attacked, out))
    assert ended.code == 0, ended.said
    return out


def command(folder: Path, out: Path, length: tuple[object, ...] = ("--steps", 10)) -> list[object]:
    set_ = [word for assignment in (*SMALL, *RHYTHM) for word in ("--set", assignment)]
    return ["pretrain", folder / "notes.jsonl", "--out", out, "--size", "nano", "--quiet", *length, *set_]


@pytest.mark.parametrize(
    ("where", "number", "code", "words"),
    [
        (VOCABULARY, INT, 130, "nothing to save yet: go on with: headwater resume"),
        (POOL, TERM, 75, "nothing to save yet: go on with: headwater resume"),
        (STEP, INT, 130, "stopped and saved at step 5 of 10; go on with: headwater resume"),
        (STEP, USR1, 75, "stopped and saved at step 5 of 10; go on with: headwater resume"),
        (EVALUATION, INT, 130, "stopped and saved at step 5 of 10"),
        (SAVE, TERM, 75, "stopped and saved at step 6 of 10"),
    ],
    ids=["vocabulary", "pool", "step", "step, SIGUSR1", "evaluation", "save"],
)
def test_a_stopped_run_says_how_to_go_on_and_ends_with_the_same_bits(
    where: tuple[str, int],
    number: int,
    code: int,
    words: str,
    headwater: Any,
    attacked: Path,
    finished: Path,
    tmp_path: Path,
    same_run: Callable[[Path, Path], None],
) -> None:
    out, cache = tmp_path / "run", {"HEADWATER_CACHE": str(tmp_path / "cache")}
    ended = headwater(*command(attacked, out), at=[*where, [number]], environment=cache)
    assert ended.code == code, ended.said
    assert words in " ".join(ended.said.split())
    ended = headwater("resume", out, "--quiet", environment=cache)
    assert ended.code == 0, ended.said
    same_run(finished, out)


def test_a_stop_while_the_machine_is_measured_leaves_a_run_that_measures_again(
    headwater: Any, attacked: Path, tmp_path: Path
) -> None:
    length = ("--minutes", 0.005)
    ended = headwater(*command(attacked, tmp_path / "run", length), at=[*MEASURING, [INT]])
    assert ended.code == 130, ended.said
    assert "\nsteps =" not in settings_of(tmp_path / "run")
    ended = headwater("resume", tmp_path / "run", "--quiet")
    assert ended.code == 0, ended.said
    assert "\nsteps =" in settings_of(tmp_path / "run")


def settings_of(run: Path) -> str:
    return (run / "settings.toml").read_text(encoding="utf-8")


def test_a_stop_while_the_model_is_shipped_lets_it_be_shipped(
    headwater: Any, attacked: Path, finished: Path, tmp_path: Path, same_run: Callable[[Path, Path], None]
) -> None:
    ended = headwater(*command(attacked, tmp_path / "run"), at=[*SHIPPING, [TERM]])
    assert ended.code == 0, ended.said
    same_run(finished, tmp_path / "run")


def test_what_was_left_aside_after_the_last_save_is_swept_although_no_save_follows(
    headwater: Any, attacked: Path, finished: Path, tmp_path: Path, same_run: Callable[[Path, Path], None]
) -> None:
    out = tmp_path / "run"
    assert headwater(*command(attacked, out), at=[*SHIPPING, [INT, INT]]).code == 130
    # As a kill leaves it between the two halves of letting an older state go.
    shutil.copytree(
        next((out / "checkpoints").glob("step-*")), out / "checkpoints" / ".tmp-step-00000003-0a1b"
    )
    assert headwater("resume", out, "--quiet").code == 0
    same_run(finished, out)


@pytest.mark.parametrize("where", [VOCABULARY, STEP, SAVE], ids=["vocabulary", "step", "save"])
def test_a_second_ctrl_c_stops_at_once_and_the_run_still_goes_on(
    where: tuple[str, int],
    headwater: Any,
    attacked: Path,
    finished: Path,
    tmp_path: Path,
    same_run: Callable[[Path, Path], None],
) -> None:
    out = tmp_path / "run"
    cache = {"HEADWATER_CACHE": str(tmp_path / "cache")}
    ended = headwater(*command(attacked, out), at=[*where, [INT, INT]], environment=cache)
    assert ended.code == 130, ended.said
    assert "stopped at once" in ended.said
    assert "Traceback" not in ended.said
    assert headwater("resume", out, "--quiet", environment=cache).code == 0
    same_run(finished, out)


def test_fine_tuning_hears_a_stop_while_it_judges(
    headwater: Any, attacked: Path, parent_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tuned"
    labelled = [attacked / "train.csv", "--validation", attacked / "validation.csv"]
    judging = ["headwater.run.reading:read_once", 1, [INT]]
    ended = headwater("finetune", parent_run, *labelled, "--out", out, "--steps", 20, "--quiet", at=judging)
    assert ended.code == 130, ended.said
    assert "stopped and saved at step 2 of 20" in ended.said
    ended = headwater("resume", out, "--quiet")
    assert ended.code == 0, ended.said
