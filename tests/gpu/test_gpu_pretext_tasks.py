"""Every pretext task of every kind of data learns on a GPU what it learns on a processor."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

import headwater as hw
from headwater.run.choosing_objective import PRETEXT_OBJECTIVES

pytestmark = pytest.mark.gpu
STEPS = 3
SETTINGS = [
    "machine.threads=1",
    "machine.precision=fp32",
    "training.batch_rows=8",
    "training.batch_tokens=512",
]
TOPICS = (["cat", "dog", "bird", "fish"], ["bus", "car", "train", "ship"])


def _texts(folder: Path) -> None:
    rng = np.random.default_rng(0)
    stories = [
        " ".join(f"The {rng.choice(TOPICS[n % 2])} saw a {rng.choice(TOPICS[n % 2])}." for _ in range(6))
        for n in range(120)
    ]
    (folder / "stories.txt").write_text("\n".join(dict.fromkeys(stories)), encoding="utf-8")


def _pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(60):
        pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def _recordings(folder: Path) -> None:
    time = np.arange(8000) / 8000
    for number in range(60):
        sound = 0.3 * np.sin(2 * np.pi * (200 + 40 * number) * time)
        soundfile.write(folder / f"{number}.wav", sound, 8000)


def _clips(folder: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (60, 8, 4, 4, 3), dtype=np.uint8).repeat(8, 2).repeat(8, 3)
    np.savez(folder / "clips.npz", frames=frames)


def _pairs(folder: Path) -> None:
    _pictures(folder)
    lines = [f"{number}.png\tthe picture with the number {number}" for number in range(60)]
    (folder / "captions.tsv").write_text("\n".join(["image\tcaption", *lines]) + "\n")


MAKERS = {"text": _texts, "image": _pictures, "audio": _recordings, "video": _clips, "pairs": _pairs}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpu")
    for modality, make in MAKERS.items():
        (folder / modality).mkdir()
        make(folder / modality)
    return folder


@pytest.mark.parametrize(
    ("modality", "name"),
    [(modality, name) for modality, known in PRETEXT_OBJECTIVES.items() for name in known],
)
def test_a_pretext_task_learns_the_same_as_on_a_processor(
    place: Path, monkeypatch: pytest.MonkeyPatch, modality: str, name: str
) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(place / "cache"))
    losses: dict[str, list[float]] = {}
    undropped = ["model.dropout=0"] if modality == "text" else []  # a device draws its own numbers
    for device in ("cpu", "cuda"):
        run = hw.pretrain(
            place / modality,
            out=place / f"{modality}-{name}-{device}",
            objective=name,
            size="nano",
            steps=STEPS,
            assign=[*SETTINGS, *undropped, f"machine.device={device}"],
            quiet=True,
        )
        losses[device] = [event["loss"] for event in _steps(run)]
    assert len(losses["cpu"]) == STEPS
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=2e-3)


def _steps(run: hw.Run) -> list[dict[str, Any]]:
    lines = (run.path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == "train"]
