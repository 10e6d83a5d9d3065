import errno
import json
import math
import os
from pathlib import Path

import pytest
from tensorboardX.proto import event_pb2, plugin_hparams_pb2
from tensorboardX.record_writer import masked_crc32c

from headwater.errors import BadDataError, MissingInputError, StorageError
from headwater.training.events import EventLog, read_events


def curve_events(run: Path) -> list[event_pb2.Event]:  # pyright: ignore[reportAttributeAccessIssue]
    """Every record of every TensorBoard file: length, checksum, bytes, checksum."""
    events = []
    for file in sorted((run / "tensorboard").iterdir()):
        data = file.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            payload = data[12 : 12 + size]
            assert int.from_bytes(data[12 + size : 16 + size], "little") == masked_crc32c(payload)
            event = event_pb2.Event()  # pyright: ignore[reportAttributeAccessIssue]
            event.ParseFromString(payload)
            events.append(event)
            data = data[16 + size :]
    return events


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write("train", step=1, loss=2.5, tokens=100)
        log.write("note", step=1, text="数据 \udc80", rows=[1, 2])
    train, note = read_events(tmp_path)
    assert (train["kind"], train["step"], train["loss"], train["tokens"]) == ("train", 1, 2.5, 100)
    assert (note["text"], note["rows"]) == ("数据 \udc80", [1, 2])
    assert read_events(tmp_path, "note") == [note]


def test_a_number_that_is_not_finite_stays_visible_in_strict_json(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write("train", step=1, loss=math.nan, norm=math.inf, low=-math.inf)
    line = (tmp_path / "events.jsonl").read_text()
    assert '"loss": "nan", "norm": "inf", "low": "-inf"' in line
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    (event,) = read_events(tmp_path)
    assert math.isnan(event["loss"])
    assert (event["norm"], event["low"]) == (math.inf, -math.inf)


@pytest.mark.parametrize("torn", ['{"kind": "train", "ste', '{"kind": "train", "step": 2}', "x" * 10_000])
def test_a_torn_last_line_never_happened_and_is_cut_when_writing_goes_on(tmp_path: Path, torn: str) -> None:
    with EventLog(tmp_path) as log:
        log.write("train", step=1, loss=1.0)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write(torn)
    assert [event["step"] for event in read_events(tmp_path)] == [1]
    with EventLog(tmp_path) as log:
        log.write("train", step=2, loss=0.5)
    assert [event["step"] for event in read_events(tmp_path)] == [1, 2]


def test_a_first_line_torn_leaves_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"kind"')
    EventLog(tmp_path).close()
    assert (tmp_path / "events.jsonl").read_text() == ""


def test_a_resumed_run_takes_back_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    with EventLog(tmp_path, resume_at=0) as log:
        for step in (1, 2, 3, 4):
            log.write("train", step=step, loss=float(step))
        log.write("evaluation", step=4, loss=9.0)
    with EventLog(tmp_path, resume_at=2) as log:
        log.write("train", step=3, loss=30.0)
    assert [(e["kind"], e["step"], e["loss"]) for e in read_events(tmp_path)] == [
        ("train", 1, 1.0),
        ("train", 2, 2.0),
        ("train", 3, 30.0),
    ]


def test_of_several_events_of_one_kind_and_step_the_last_counts(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write("train", step=1, loss=1.0)
        log.write("evaluation", step=1, loss=2.0)
        log.write("train", step=1, loss=3.0)
    assert [(e["kind"], e["loss"]) for e in read_events(tmp_path)] == [("evaluation", 2.0), ("train", 3.0)]


def test_a_new_run_holds_no_resume_line(tmp_path: Path) -> None:
    EventLog(tmp_path, resume_at=0).close()
    assert (tmp_path / "events.jsonl").read_text() == ""


@pytest.mark.parametrize(
    "line", ["nonsense", "[1]", '{"step": 1}', '{"kind": [], "step": 1}', '{"kind": "a"}', ""]
)
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "events.jsonl").write_text('{"kind": "train", "step": 1}\n' + line + "\n")
    with pytest.raises(BadDataError, match="line 2 is no event"):
        read_events(tmp_path)


def test_a_missing_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"events\.jsonl"):
        read_events(tmp_path)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path, tensorboard=False)
    log.write("train", step=1, loss=1.0)
    write = os.write

    def half(file: int, data: bytes) -> int:
        write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StorageError, match="No space left on device"):
        log.write("train", step=2, loss=1.0)
    monkeypatch.undo()
    log.write("train", step=3, loss=1.0)
    log.close()
    assert [event["step"] for event in read_events(tmp_path)] == [1, 3]


def test_a_line_written_in_part_counts_as_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(tmp_path, tensorboard=False)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]))
    with pytest.raises(StorageError, match="Free some space"):
        log.write("train", step=1, loss=1.0)
    log.close()
    assert (tmp_path / "events.jsonl").read_bytes() == b""


def test_numbers_become_curves_at_once_and_words_do_not(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.write("train", step=3, loss=0.5, learning_rate=0.125, note="text")
    points = {v.tag: (e.step, v.simple_value) for e in curve_events(tmp_path) for v in e.summary.value}
    log.close()
    assert points == {"train/loss": (3, 0.5), "lr": (3, 0.125)}


def test_evaluations_stand_in_tensorboards_usual_group_and_keep_their_name_in_the_file(
    tmp_path: Path,
) -> None:
    with EventLog(tmp_path) as log:
        log.write("evaluation", step=3, loss=0.5, accuracy=0.75)
    points = {v.tag: v.simple_value for e in curve_events(tmp_path) for v in e.summary.value}
    assert points == {"eval/loss": 0.5, "eval/accuracy": 0.75}
    assert [event["kind"] for event in read_events(tmp_path)] == ["evaluation"]


def test_hyperparameters_stand_where_tensorboards_table_looks_for_them(tmp_path: Path) -> None:
    told = {
        "model.size": "nano",
        "training.steps": 8,
        "training.learning_rate": 0.5,
        "training.packed": False,
    }
    with EventLog(tmp_path, hyperparameters=told) as log:
        log.write("train", step=1, loss=1.0)
        log.write("train", step=2, loss=1.0)
    values = [value for event in curve_events(tmp_path) for value in event.summary.value]
    (first, *others) = [value for value in values if value.metadata.plugin_data.plugin_name == "hparams"]
    assert not others
    assert first.tag == "_hparams_/session_start_info"
    data = plugin_hparams_pb2.HParamsPluginData()  # pyright: ignore[reportAttributeAccessIssue]
    data.ParseFromString(first.metadata.plugin_data.content)
    found = {name: getattr(v, v.WhichOneof("kind")) for name, v in data.session_start_info.hparams.items()}
    assert found == told
    assert found["training.packed"] is False


def test_a_resumed_run_tells_tensorboard_which_points_to_hide(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write("train", step=5, loss=1.0)
    with EventLog(tmp_path, resume_at=2) as log:
        log.write("train", step=3, loss=1.0)
    starts = [event.step for event in curve_events(tmp_path) if event.HasField("session_log")]
    assert starts == [3]


def test_without_numbers_there_is_no_tensorboard_folder(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write("note", step=0, text="hello")
    assert not (tmp_path / "tensorboard").exists()
