"""A folder of pictures becomes a model that paints, and that transformers opens."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import headwater as hw
from headwater.data.sequencers.patches import Patches
from headwater.models import TransformerSettings, load_bundle
from tests.end_to_end.stopped import gone_on, weights_of

ASSIGN = [
    "machine.threads=1",
    "training.batch_rows=32",
    "training.checkpoint_steps=10",
    "training.evaluation_steps=20",
]
OWN = {"colorization": (80, 2), "super_resolution": (40, 2), "geometric_transform": (24, 4)}
"""Steps and the side of the patches: finer where details are learnt, and no more than leave something to be judged."""


def draw(path: Path, seed: int) -> None:
    """A bright disc somewhere on a dark slope."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[:16, :16]
    middle, colour = rng.integers(4, 12, 2), rng.integers(100, 256, 3)
    inside = (down - middle[0]) ** 2 + (right - middle[1]) ** 2 < 12
    pixels = np.where(inside[..., None], colour, (4 * down)[..., None] + np.zeros(3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def photos(workplace: Path) -> Path:
    for number in range(300):
        draw(workplace / "photos" / f"{number}.png", number)
    (workplace / "photos" / "broken.png").write_bytes(b"no picture")
    return workplace / "photos"


@pytest.fixture(scope="module")
def painter(workplace: Path, cache: object, photos: Path) -> hw.Run:
    return hw.pretrain(photos, out=workplace / "painter", size="nano", steps=30, assign=ASSIGN, quiet=True)


@pytest.fixture(scope="module")
def drawer(workplace: Path, cache: object, photos: Path) -> hw.Run:
    out, name = workplace / "drawer", "image_generation"
    return hw.pretrain(photos, out=out, objective=name, size="nano", steps=10, assign=ASSIGN, quiet=True)


def test_it_paints_better_than_the_mean_colour(painter: hw.Run) -> None:
    assert painter.summary.evaluation["masked_autoencoding"] < 0.6
    card = json.loads((painter.path / "model" / "headwater.json").read_text())
    assert (card["task"], card["sequencer"], card["length"]) == ("masked_autoencoding", "patches", 65)
    facts = json.loads((painter.path / "data.json").read_text())
    assert facts["left_out"]["by_reason"]["no picture"] == 1
    with Image.open(painter.path / "reports" / "masked_autoencoding.png") as drawn:
        assert drawn.height == 3 * (96 + 4) + 4


@pytest.mark.parametrize(
    ("objective", "least", "guess"),
    [
        ("masked_patch", 0.8, None),
        ("masked_patch_classes", 0.9, "masked_patch_classes_guessed"),
        ("image_generation", 0.95, "image_generation_guessed"),
        ("colorization", 0.97, "colorization_in_grey"),
        ("super_resolution", 1.0, "super_resolution_bicubic"),
        ("jigsaw", math.log(16), None),
        ("geometric_transform", 0.9, None),
        ("view_contrast", math.log(2 * 8 - 1), None),
        ("self_distillation", 0.8, None),
    ],
)
def test_every_pretext_task_of_pictures_learns(
    objective: str, least: float, guess: str | None, photos: Path, tmp_path: Path
) -> None:
    steps, patch = OWN.get(objective, (40, 4))
    assign = [*ASSIGN, f"model.patch={patch}"]
    run = hw.pretrain(
        photos, out=tmp_path / "run", objective=objective, size="nano", steps=steps, assign=assign, quiet=True
    )
    found = run.summary.evaluation
    assert found[objective] < least * (found[guess] if guess else 1.0)
    assert (run.path / "reports" / f"{objective}.png").is_file()
    told = run.evaluate(photos).to_dict()
    together = 64 if objective == "view_contrast" else 1
    assert (told["group"], told["items"]) == (together, 300 - 300 % together)  # all but the broken one
    assert told[objective]["low"] < told[objective]["value"] < told[objective]["high"]
    if together == 1:  # among more views each is found more rarely
        assert told[objective]["value"] == pytest.approx(found[objective], rel=0.35)  # on some more pictures
    assert told[objective]["without_a_model"]


def test_each_of_several_pretext_tasks_leaves_its_own_picture(photos: Path, tmp_path: Path) -> None:
    both = "jigsaw=1,masked_patch=0.5"
    run = hw.pretrain(
        photos, out=tmp_path / "run", objective=both, size="nano", steps=2, assign=ASSIGN, quiet=True
    )
    assert {path.name for path in (run.path / "reports").iterdir()} == {"jigsaw.png", "masked_patch.png"}


def test_a_run_that_goes_on_is_probed_and_says_what_it_forgot(
    painter: hw.Run, photos: Path, tmp_path: Path
) -> None:
    for number in range(300, 420):
        draw(tmp_path / "sorted" / ("odd" if number % 2 else "even") / f"{number}.png", number)
    run = hw.pretrain(
        photos,
        out=tmp_path / "run",
        start_from=painter,
        probe=tmp_path / "sorted",
        steps=2,
        assign=[*ASSIGN, "training.evaluation_steps=2", "training.learning_rate=1e-12"],
        quiet=True,
    )
    assert 0.2 < run.summary.evaluation["probe"] < 0.8  # nothing tells odd from even
    told = json.loads((run.path / "model" / "headwater.json").read_text())["forgetting"]
    assert told["before"] == pytest.approx(told["after"], abs=1e-5)
    assert told["before"] == pytest.approx(painter.summary.evaluation["loss"], rel=0.2)
    assert "forgot:" not in told["sentence"]


def test_a_run_that_draws_is_asked_for_pictures_and_classifies_as_any_other(
    photos: Path, drawer: hw.Run, painter: hw.Run, tmp_path: Path
) -> None:
    run = drawer
    assert run.draw(tmp_path / "some.png", 10) == {"out": str(tmp_path / "some.png"), "pictures": 10}
    run.draw(tmp_path / "again.png", 10)
    assert (tmp_path / "some.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    with Image.open(tmp_path / "some.png") as drawn:
        assert drawn.width == 8 * (96 + 4) + 4
    assert run.embed([photos / "0.png", photos / "1.png"]).shape == (2, 128)
    more = hw.pretrain(
        photos,
        out=tmp_path / "more",
        objective="image_generation",
        start_from=run,
        steps=3,
        assign=ASSIGN,
        quiet=True,
    )
    assert more.summary.finished
    with pytest.raises(hw.HeadwaterError, match="was trained for masked_autoencoding and draws nothing"):
        painter.draw(tmp_path / "none.png")
    with pytest.raises(hw.HeadwaterError, match=r"drawn into a \.png"):
        run.draw(tmp_path / "none.txt")


@torch.no_grad()
def test_transformers_opens_it_and_reads_the_same(painter: hw.Run, photos: Path) -> None:
    folder = painter.path / "model"
    theirs: Any = transformers.AutoModel.from_pretrained(folder).eval()
    pixels = np.stack([np.asarray(Image.open(photos / f"{number}.png")) for number in range(4)])
    bundle = load_bundle(folder)
    ours = bundle.model.eval()
    assert isinstance(bundle.settings, TransformerSettings)
    assert bundle.settings.patches is not None
    patches = Patches.load(folder, **bundle.settings.patches.cut)
    inputs, layout = patches.sequences(pixels)
    found = theirs(patches.joined(patches.patched(pixels))).last_hidden_state
    torch.testing.assert_close(found, ours.backbone(inputs, layout), atol=1e-5, rtol=0)


def test_a_stopped_run_ends_with_the_same_bits(photos: Path, tmp_path: Path) -> None:
    once, again = (
        hw.pretrain(photos, out=tmp_path / name, size="nano", steps=15, assign=ASSIGN, quiet=True)
        for name in ("once", "again")
    )
    weights = weights_of(again)
    assert weights == weights_of(once)
    assert weights_of(gone_on(again)) == weights


def test_a_run_goes_on_with_its_parent(painter: hw.Run, photos: Path, tmp_path: Path) -> None:
    run = hw.pretrain(
        photos, out=tmp_path / "more", start_from=painter.path, steps=10, assign=ASSIGN, quiet=True
    )
    assert run.summary.evaluation["loss"] < 0.6
    with pytest.raises(hw.HeadwaterError, match="reads pictures, and this is for text"):
        (tmp_path / "notes.txt").write_text("some text\n" * 30)
        hw.pretrain(
            tmp_path / "notes.txt", out=tmp_path / "text", start_from=painter.path, steps=2, quiet=True
        )


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (
            {"objective": "masked_tokens"},
            "masked_tokens reads text, and .* holds pictures; choose --objective",
        ),
        ({"assign": ["model.backbone=recurrent"]}, "does not pre-train on pictures"),
        ({"assign": ["model.layout=bert"]}, "reads no patches"),
        ({"assign": ["model.patch=5", "data.side=16"]}, "patches of 5 pixels do not fill a side of 16"),
        ({"assign": ["objective.share=0.999"]}, "leaves 0 in sight"),
    ],
)
def test_what_pictures_cannot_do_is_said(
    choices: dict[str, Any], words: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(hw.HeadwaterError, match=words):
        hw.pretrain(photos, out=tmp_path / "run", size="nano", steps=2, quiet=True, **choices)
    assert not (tmp_path / "run" / "model").exists()


def test_a_named_task_says_what_is_read_of_a_mixed_folder(
    photos: Path, workplace: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for number in range(5):
        draw(mixed / f"{number}.png", number)
    (mixed / "notes.jsonl").write_bytes((workplace / "notes.jsonl").read_bytes())
    run = hw.pretrain(
        mixed, out=tmp_path / "run", objective="masked_tokens", size="nano", steps=2, quiet=True
    )
    assert (run.path / "model" / "tokenizer.json").is_file()
    with pytest.raises(hw.HeadwaterError, match="one run reads one kind of data"):
        both = "masked_tokens=1,masked_autoencoding=1"
        hw.pretrain(mixed, out=tmp_path / "both", objective=both, size="nano", steps=2, quiet=True)


def test_a_text_given_to_a_run_of_pictures_is_no_file(painter: hw.Run, photos: Path) -> None:
    with pytest.raises(
        hw.HeadwaterError, match="this run finds pictures by the name of one: a text cannot be read"
    ):
        painter.search(photos, "a text")
    with pytest.raises(hw.HeadwaterError, match="a text cannot be read: No such file"):
        painter.embed(["a text"])


def test_painting_is_for_pictures(workplace: Path, tmp_path: Path) -> None:
    with pytest.raises(hw.HeadwaterError, match=r"masked_autoencoding reads pictures, and .* holds text"):
        hw.pretrain(
            workplace / "notes.jsonl",
            out=tmp_path / "run",
            objective="masked_autoencoding",
            size="nano",
            steps=2,
            quiet=True,
        )


def test_pictures_are_drawn_as_they_are_asked_for(drawer: hw.Run, told: Any, tmp_path: Path) -> None:
    run = drawer
    for out, temperature, seed in (("sure", 0, 1), ("again", 0, 2), ("free", 1, 1)):
        arguments = ("generate", run.path, "--out", tmp_path / f"{out}.png", "--samples", 3, "--seed", seed)
        assert told("", *arguments, "--temperature", temperature).code == 0
    sure, again, free = ((tmp_path / f"{name}.png").read_bytes() for name in ("sure", "again", "free"))
    assert sure == again != free
    refused = told("", "generate", run.path, "--out", tmp_path / "no.png", "--beam", 5)
    assert refused.code == 2
    assert "--beam is for texts" in refused.err
