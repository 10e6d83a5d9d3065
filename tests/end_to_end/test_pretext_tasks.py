"""Every pretext task of texts through the whole program: trained, resumed, judged, handed on."""

from collections.abc import Callable
from pathlib import Path

import pytest

import headwater as hw
from headwater.errors import SettingsError
from headwater.run.choosing_objective import PRETEXT_OBJECTIVES
from tests.end_to_end.conftest import Seen

SHORT = ["training.length=64", "training.batch_tokens=512"]
LABELS = {
    "sentence_order": "sentence_order_accuracy",
    "next_sentence": "next_sentence_accuracy",
    "replaced_token": "replaced_token_accuracy",
    "sentence_contrast": "sentence_contrast_accuracy",
    "next_token": "bits_per_byte",
}
MIXED = "masked_tokens=1,sentence_order=0.3"


def pretrained_on(workplace: Path, objective: str, name: str) -> hw.Run:
    return hw.pretrain(
        workplace / "notes.jsonl",
        out=workplace / "pretext" / name,
        objective=objective,
        size="nano",
        steps=6,
        assign=SHORT,
        quiet=True,
    )


@pytest.mark.parametrize("objective", [*PRETEXT_OBJECTIVES, MIXED])
def test_every_pretext_task_trains_is_judged_and_ships_its_model(objective: str, workplace: Path) -> None:
    run = pretrained_on(workplace, objective, objective.replace("=", "-").replace(",", "-"))
    evaluation = run.summary.evaluation
    assert evaluation["loss"] > 0
    if objective in LABELS:
        assert LABELS[objective] in evaluation
    assert run.embed(["the rain came early"]).shape == (1, 128)


def test_a_teacher_goes_on_after_a_stop_where_it_was(workplace: Path) -> None:
    whole = pretrained_on(workplace, "self_distillation", "whole")
    again = pretrained_on(workplace, "self_distillation", "again")
    files = [run.path / "model" / "model.safetensors" for run in (whole, again)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_denoising_model_learns_to_translate(workplace: Path) -> None:
    parent = pretrained_on(workplace, "denoising", "parent")
    rows = workplace / "reversed.tsv"
    words = ["rain", "wind", "cloud", "storm", "frost", "boat", "rope", "wave"]
    texts = [(f"the {a} met the {b}", f"the {b} met the {a}") for a in words for b in words]
    rows.write_text("source\ttarget\n" + "".join(f"{a}\t{b}\n" for a, b in texts), encoding="utf-8")
    tuned = hw.finetune(
        parent, rows, task="translation", out=workplace / "pretext" / "tuned", steps=4, quiet=True
    )
    assert len(tuned.translate(["the rain came"])) == 1


def test_a_detector_learns_labels(workplace: Path) -> None:
    parent = pretrained_on(workplace, "replaced_token", "detector")
    tuned = hw.finetune(
        parent, workplace / "train.csv", out=workplace / "pretext" / "labels", steps=4, quiet=True
    )
    assert tuned.predict(["the storm"])[0]["label"] in ("weather", "kitchen", "harbour")


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("masked_token", "did you mean 'masked_tokens'"),
        ("masked_tokens=x", "expected a weight"),
        ("masked_tokens=0,sentence_order=1", "is no weight"),
        ("masked_tokens,next_token", "one model cannot be both"),
        ("denoising,sentence_order", "one model cannot be both"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    objective: str, words: str, workplace: Path, told: Callable[..., Seen]
) -> None:
    out = workplace / "pretext" / "refused"
    seen = told("", "pretrain", workplace / "notes.jsonl", "--objective", objective, "--out", out, "--quiet")
    assert seen.code == 78
    assert words in seen.err


def test_texts_that_are_compared_are_not_cut_into_parts(workplace: Path) -> None:
    with pytest.raises(SettingsError, match="compares the texts of a batch"):
        hw.pretrain(
            workplace / "notes.jsonl",
            out=workplace / "pretext" / "parts",
            objective="sentence_contrast",
            size="nano",
            steps=2,
            assign=[*SHORT, "training.micro_batches=2"],
            quiet=True,
        )
