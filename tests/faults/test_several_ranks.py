"""One run on one or two processes, through the command line: the same batches, the same losses, one writer."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from headwater.training.events import read_events

SMALL = ("training.length=32", "model.width=64", "model.num_heads=2", "training.batch_tokens=384")
PARTS = ("training.micro_batches=2", "training.checkpoint_steps=4", "training.evaluation_steps=4")
STEPS = 12


def command(folder: Path, out: Path, *more: str) -> list[object]:
    set_ = [word for assignment in (*SMALL, *PARTS, *more) for word in ("--set", assignment)]
    return ["pretrain", folder / "notes.jsonl", "--out", out, "--size", "nano", "--steps", STEPS, *set_]


@pytest.fixture(scope="session")
def alone(headwater: Any, attacked: Path) -> Path:
    """The run that one process made."""
    out = attacked / "alone"
    ended = headwater(*command(attacked, out, "model.dropout=0.1"))
    assert ended.code == 0, ended.said
    return out


def pairs_of(folder: Path, out: Path) -> list[object]:
    """Squares of some colour and what they are called, to be learnt from."""
    rng = np.random.default_rng(0)
    lines = ["image\ttext"]
    for number in range(48):
        colour = rng.integers(0, 255, 3)
        Image.fromarray(np.full((16, 16, 3), colour, np.uint8)).save(folder / f"{number}.png")
        lines.append(f"{number}.png\tred {colour[0]} green {colour[1]} blue {colour[2]}")
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    parts = [word for assignment in (*PARTS, "training.batch_rows=16") for word in ("--set", assignment)]
    chosen = ["--objective", "pair_contrast", "--size", "nano", "--steps", STEPS]
    return ["pretrain", folder / "pairs.tsv", "--out", out, *chosen, *parts]


def assert_close(one: Path, other: Path) -> None:
    """The same steps on the same tokens, losses within 1e-5, weights within what Adam makes of that."""
    first, second = read_events(one, "train"), read_events(other, "train")
    assert [event["step"] for event in second] == list(range(1, STEPS + 1))
    assert [event["tokens"] for event in first] == [event["tokens"] for event in second]
    assert [event["loss"] for event in second] == pytest.approx([event["loss"] for event in first], abs=1e-5)
    judged = [[event["loss"] for event in read_events(run, "evaluation")] for run in (one, other)]
    assert judged[1] == pytest.approx(judged[0], abs=1e-5)
    mine, theirs = (load_file(run / "model" / "model.safetensors") for run in (one, other))
    assert all(abs(mine[name] - theirs[name]).max() < 1e-4 for name in mine)


def test_two_processes_make_the_run_that_one_makes(
    headwater: Any, attacked: Path, alone: Path, tmp_path: Path
) -> None:
    ended = headwater(*command(attacked, tmp_path / "run", "model.dropout=0.1"), ranks=2)
    assert ended.codes == [0, 0], ended.said
    assert_close(alone, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in alone.iterdir()}
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1


@pytest.mark.parametrize("objective", ["sentence_contrast", "pair_contrast"])
def test_two_processes_compare_what_one_compares(
    objective: str, headwater: Any, attacked: Path, tmp_path: Path
) -> None:
    more = ("model.dropout=0.1",) if objective == "sentence_contrast" else ()
    runs = [tmp_path / "one", tmp_path / "two"]
    for out, ranks in zip(runs, (1, 2), strict=True):
        asked = [*command(attacked, out, *more), "--objective", objective]
        if objective == "pair_contrast":
            asked = pairs_of(tmp_path, out)
        ended = headwater(*asked, **({} if ranks == 1 else {"ranks": ranks}))
        assert ended.code == 0 if ranks == 1 else ended.codes == [0, 0], ended.said
    assert_close(*runs)


def test_only_the_first_process_speaks(headwater: Any, attacked: Path, tmp_path: Path) -> None:
    ended = headwater(*command(attacked, tmp_path / "run"), ranks=2)
    assert "finished" in ended.said
    assert ended.others == [""]


def test_a_run_goes_from_one_process_to_two_and_back(
    headwater: Any, attacked: Path, alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    step = "headwater.training.loop:_clip"
    ended = headwater(*command(attacked, out, "model.dropout=0.1"), at=[step, 3, [signal.SIGTERM]])
    assert ended.code == 75, ended.said
    ended = headwater("resume", out, ranks=2, at=[step, 4, [signal.SIGTERM]])
    assert ended.codes == [75, 75], ended.said
    ended = headwater("resume", out)
    assert ended.code == 0, ended.said
    assert_close(alone, out)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_a_signal_to_one_process_stops_all_of_them_at_the_same_step(
    rank: int, number: int, headwater: Any, attacked: Path, tmp_path: Path
) -> None:
    at = ["headwater.training.loop:_clip", 5, [number]]
    ended = headwater(*command(attacked, tmp_path / "run"), ranks=2, at=at, on=rank)
    assert ended.codes == [130 if number == signal.SIGINT else 75] * 2, ended.said
    assert "stopped and saved at step 5 of 12" in ended.said


def test_a_stop_before_the_first_step_reaches_everybody(
    headwater: Any, attacked: Path, tmp_path: Path
) -> None:
    cache = {"HEADWATER_CACHE": str(tmp_path / "cache")}
    at = ["headwater.data.pool:write_store", 1, [signal.SIGTERM]]
    ended = headwater(*command(attacked, tmp_path / "run"), ranks=2, at=at, environment=cache)
    assert ended.codes == [75, 75], ended.said
    assert "nothing to save yet" in ended.said


def test_a_save_that_fails_ends_every_process_with_the_reason(
    headwater: Any, attacked: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    ended = headwater(
        *command(attacked, out), ranks=2, fail=["headwater.training.checkpoint:write_tensors", 1]
    )
    assert ended.codes == [74, 74], ended.said
    assert "the disk is full" in ended.said


def test_a_folder_in_use_is_refused_by_every_process(headwater: Any, attacked: Path, alone: Path) -> None:
    ended = headwater(*command(attacked, alone), ranks=2)
    assert ended.codes == [2, 2]
    assert "exists and is not empty" in ended.said


def test_a_process_without_work_is_refused(headwater: Any, attacked: Path, tmp_path: Path) -> None:
    ended = headwater(*command(attacked, tmp_path / "run", "training.micro_batches=1"), ranks=2)
    assert ended.codes == [78, 78]
    assert "--set training.micro_batches=2" in ended.said


def test_minutes_become_the_same_number_of_steps_on_every_process(
    headwater: Any, attacked: Path, tmp_path: Path
) -> None:
    timed = [word for word in command(attacked, tmp_path / "run") if word not in ("--steps", STEPS)]
    ended = headwater(*timed, "--minutes", 0.005, ranks=2)
    assert ended.codes == [0, 0], ended.said
