"""Recordings and clips go through the house as pictures do: pre-trained, fine-tuned, asked, measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import transformers

import headwater as hw

ASSIGN = ["machine.threads=1", "training.batch_rows=16", "training.evaluation_steps=40"]
RATE = 8_000


def siren(rises: bool, seed: int) -> np.ndarray:
    """A tone that rises or falls, somewhere between 300 and 3,000 hertz, in noise."""
    rng = np.random.default_rng(2 * seed + rises)
    low, high = rng.uniform(300, 600), rng.uniform(1_500, 3_000)
    pitch = np.linspace(low, high, 3_200) if rises else np.linspace(high, low, 3_200)
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    return 0.4 * tone + rng.normal(0, 0.02, len(tone))


def walk(forwards: bool, seed: int) -> np.ndarray:
    """A bright square that goes to the right or to the left: (8, 16, 16, 3)."""
    rng = np.random.default_rng(2 * seed + forwards)
    frames = rng.integers(0, 40, (8, 16, 16, 3))
    down, step = rng.integers(0, 11), 1 if forwards else -1
    start = rng.integers(0, 4) if forwards else rng.integers(8, 12)
    for number in range(8):
        left = int(np.clip(start + step * number, 0, 11))
        frames[number, down : down + 5, left : left + 5] = rng.integers(180, 256, 3)
    return frames.astype(np.uint8)


@pytest.fixture(scope="module")
def sirens(workplace: Path) -> Path:
    folder = workplace / "sirens"
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    rows = ["file\tmoves\tloud\tsplit"]
    write: Any = soundfile.write
    for number in range(140):
        rises = number % 2 == 0
        write(folder / "wav" / f"{number:03}.wav", siren(rises, number), RATE)
        part = "test" if number >= 100 else "train"
        rows.append(f"{number:03}.wav\t{'up' if rises else 'down'}\t1\t{part}")
    (folder / "labels.tsv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def walks(workplace: Path) -> Path:
    folder = workplace / "walks"
    folder.mkdir(exist_ok=True)
    for part, numbers in (("train", range(120)), ("test", range(500, 540))):
        frames = np.stack([walk(number % 2 == 0, number) for number in numbers])
        save: Any = np.savez_compressed
        save(folder / f"{part}.npz", frames=frames, label=np.arange(len(frames)) % 2)
    return folder


@pytest.fixture(scope="module")
def listener(workplace: Path, cache: object, sirens: Path) -> hw.Run:
    return hw.pretrain(sirens, out=workplace / "listener", size="nano", steps=40, assign=ASSIGN, quiet=True)


@pytest.fixture(scope="module")
def watcher(workplace: Path, cache: object, walks: Path) -> hw.Run:
    return hw.pretrain(walks, out=workplace / "watcher", size="nano", steps=40, assign=ASSIGN, quiet=True)


def facts_of(run: hw.Run) -> dict[str, Any]:
    return json.loads((run.path / "data.json").read_text())


def test_a_table_keeps_its_test_rows_out_of_the_pool(listener: hw.Run) -> None:
    facts = facts_of(listener)
    assert facts["modality"] == "audio"
    assert facts["items"] + facts["validation"]["items"] == 100
    assert (listener.path / "reports" / "masked_spectrogram.png").exists()


def test_a_model_of_recordings_tells_what_rises(listener: hw.Run, sirens: Path, workplace: Path) -> None:
    out = workplace / "siren-sorter"
    sorter = hw.finetune(listener, sirens, label="moves", out=out, steps=60, assign=ASSIGN, quiet=True)
    assert sorter.evaluate(sirens, label="moves").to_dict()["accuracy"]["value"] >= 0.9
    one = str(sirens / "wav" / "130.wav")
    (answer,) = sorter.predict([one])
    assert answer["label"] == "up"
    samples, _ = soundfile.read(one, dtype="int16")
    (same,) = sorter.predict([samples])
    assert same["probabilities"] == answer["probabilities"]
    assert sorter.embed([one]).shape == (1, 128)
    theirs = transformers.AutoModel.from_pretrained(listener.path / "model")
    assert type(theirs).__name__ == "ViTModel"


def test_a_model_of_clips_tells_which_way_something_goes(
    watcher: hw.Run, walks: Path, workplace: Path
) -> None:
    assert facts_of(watcher)["modality"] == "video"
    out = workplace / "walk-sorter"
    sorter = hw.finetune(watcher, walks / "train.npz", out=out, steps=60, assign=ASSIGN, quiet=True)
    assert sorter.evaluate(walks / "test.npz").to_dict()["accuracy"]["value"] >= 0.85
    frames = np.load(walks / "test.npz")["frames"]
    (answer,) = sorter.predict([frames[3]])
    assert answer["label"] == "1"


@pytest.mark.parametrize(
    ("made", "data", "longer"), [("listener", "sirens", "seconds=0.9"), ("watcher", "walks", "frames=4")]
)
def test_more_or_less_of_them_is_read_where_that_is_asked_for(
    made: str, data: str, longer: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: hw.Run = request.getfixturevalue(made)
    rows: Path = request.getfixturevalue(data)
    train = rows if data == "sirens" else rows / "train.npz"
    label = "moves" if data == "sirens" else None
    before = json.loads((run.path / "model" / "headwater.json").read_text())["length"]
    tuned = hw.finetune(
        run,
        train,
        label=label,
        out=tmp_path / "tuned",
        steps=10,
        assign=[*ASSIGN, f"data.{longer}"],
        quiet=True,
    )
    after = json.loads((tuned.path / "model" / "headwater.json").read_text())["length"]
    assert (after > before) is (data == "sirens")
    assert after != before
    assert (
        tuned.evaluate(rows if data == "sirens" else rows / "test.npz", label=label).to_dict()["accuracy"][
            "value"
        ]
        > 0.3
    )


@pytest.mark.parametrize(
    "objective",
    ["frame_order", "future_frames", "past_frames", "view_contrast", "masked_tubelets", "self_distillation"],
)
def test_every_task_of_clips_trains_and_leaves_a_picture(
    walks: Path, cache: object, tmp_path: Path, objective: str
) -> None:
    run = hw.pretrain(
        walks, out=tmp_path / "run", objective=objective, size="nano", steps=3, assign=ASSIGN, quiet=True
    )
    assert (run.path / "reports" / f"{objective}.png").stat().st_size > 1_000
    assert (run.path / "reports" / f"{objective}.gif").stat().st_size > 1_000


@pytest.mark.parametrize("objective", ["view_contrast", "self_distillation"])
def test_every_task_of_recordings_trains_and_leaves_a_picture(
    sirens: Path, cache: object, tmp_path: Path, objective: str
) -> None:
    run = hw.pretrain(
        sirens, out=tmp_path / "run", objective=objective, size="nano", steps=3, assign=ASSIGN, quiet=True
    )
    assert (run.path / "reports" / f"{objective}.png").stat().st_size > 1_000


@pytest.mark.parametrize(
    ("data", "label", "floor"), [("sirens", "moves", "spectrogram"), ("walks", None, "frames")]
)
def test_their_gain_is_measured(
    request: pytest.FixtureRequest, data: str, label: str | None, floor: str
) -> None:
    run: hw.Run = request.getfixturevalue("listener" if data == "sirens" else "watcher")
    folder: Path = request.getfixturevalue(data)
    train, test = (folder, folder) if data == "sirens" else (folder / "train.npz", folder / "test.npz")
    choices: dict[str, Any] = {"budgets": [8], "seeds": 1, "rates": 1}
    assign = [*ASSIGN[:2], "training.steps=10"]
    found = hw.gain(run, train, test=test, label=label, **choices, assign=assign, quiet=True)
    told = found.to_dict()
    assert {cell["arm"] for cell in told["cells"]} >= {
        *("pretrained", "scratch", "recurrent", "convolutional", "floor"),
    }
    page = found.report.read_text()
    assert floor in page
    assert ("data:image/gif;base64," in page) is (data == "walks")
    assert told["sentence"]


def test_the_array_of_labels_is_remembered_by_its_name(workplace: Path, watcher: hw.Run, walks: Path) -> None:
    arrays = np.load(walks / "train.npz")
    paths = [workplace / "ways" / "learnt.npz", workplace / "ways" / "judged.npz"]
    paths[0].parent.mkdir()
    for path in paths:
        np.savez(path, frames=arrays["frames"], way=arrays["label"], back=1 - arrays["label"])
    run = hw.finetune(watcher, paths[0], label="way", out=workplace / "ways" / "run", steps=2, quiet=True)
    assert run.evaluate(paths[1], quiet=True) == run.evaluate(paths[1], label="way", quiet=True)
    with pytest.raises(hw.HeadwaterError, match="none of 120 clips has a label"):
        run.evaluate(paths[1], label="nobody", quiet=True)
    other = workplace / "ways" / "other.npz"  # which names its labels in its own way
    np.savez(other, frames=arrays["frames"], label=arrays["label"])
    assert run.evaluate(other, quiet=True) == run.evaluate(paths[1], quiet=True)
