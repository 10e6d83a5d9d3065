"""Every pretext task of texts through the whole program: trained, resumed, judged, handed on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import headwater as hw
from headwater.errors import SettingsError
from headwater.models import load_bundle
from headwater.run.choosing_objective import PRETEXT_OBJECTIVES
from headwater.run.generating import Decoding
from headwater.run.starting import StartingPoint
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


def pretrained_on(workplace: Path, objective: str, name: str, *assign: str) -> hw.Run:
    return hw.pretrain(
        workplace / "notes.jsonl",
        out=workplace / "pretext" / name,
        objective=objective,
        size="nano",
        steps=6,
        assign=[*SHORT, *assign],
        quiet=True,
    )


OF_TEXT = list(PRETEXT_OBJECTIVES["text"])


@pytest.mark.parametrize("objective", [*OF_TEXT, MIXED])
def test_every_pretext_task_trains_is_judged_and_ships_its_model(objective: str, workplace: Path) -> None:
    run = pretrained_on(workplace, objective, objective.replace("=", "-").replace(",", "-"))
    evaluation = run.summary.evaluation
    assert evaluation["loss"] > 0
    if objective in LABELS:
        assert LABELS[objective] in evaluation
    assert run.embed(["the rain came early"]).shape == (1, 128)
    if objective != "next_token":  # which is judged as language models are
        found = run.evaluate(workplace / "test.csv").to_dict()
        name = objective.split("=")[0]
        assert (found["what"], found["items"]) == ("documents", 60)
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
        if found["group"] == 1:  # among more texts each is found more rarely
            assert found[name]["value"] == pytest.approx(evaluation[name], rel=0.3)


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


@pytest.mark.parametrize(("objective", "layout"), [("span_corruption", "t5"), ("denoising", "bart")])
def test_a_published_layout_is_pre_trained_fine_tuned_and_writes(
    objective: str, layout: str, workplace: Path, told: Callable[..., Seen]
) -> None:
    parent = pretrained_on(workplace, objective, layout, f"model.layout={layout}")
    config = json.loads((parent.path / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == layout
    rows = workplace / "summaries.jsonl"
    texts = [{"text": f"the {a} came and the {b} went", "summary": f"{a} {b}"} for a in "abc" for b in "xyz"]
    rows.write_text("".join(json.dumps(row) + "\n" for row in texts), encoding="utf-8")
    tuned = hw.finetune(
        parent, rows, task="summarization", out=workplace / "pretext" / f"{layout}-tuned", steps=4, quiet=True
    )
    (written,) = tuned.generate(["the a came and the z went"], Decoding(temperature=0.0, max_tokens=12))
    seen = told("", "translate", tuned.path, "-", "--quiet", stdin=b"the a came and the z went\n")
    assert (seen.code, len(seen.out.splitlines())) == (0, 1)
    model, tokenizer = opened_there(tuned.path / "model")
    encoded = tokenizer(["the a came and the z went"], return_tensors="pt")
    (theirs,) = model.generate(encoded["input_ids"], max_new_tokens=12, do_sample=False)
    assert tokenizer.decode(theirs, skip_special_tokens=True).strip() == written["text"].strip()


def opened_there(folder: Path) -> tuple[Any, Any]:
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("layout", ["t5", "marian"])
def test_what_says_the_next_word_goes_on_in_fine_tuning(layout: str, workplace: Path) -> None:
    parent = pretrained_on(workplace, "denoising", f"{layout}-head", f"model.layout={layout}")
    bundle = load_bundle(parent.path / "model").model
    model = StartingPoint.of_run(parent.path).model("next_token", seed=7)
    learnt, going_on = (part.heads["next_token"].state_dict() for part in (bundle, model))
    assert list(going_on) == {"t5": ["decoder.weight"], "marian": ["decoder.bias"]}[layout]
    assert all(torch.equal(going_on[name], learnt[name]) and learnt[name].any() for name in learnt)
    assert model.head_settings == bundle.head_settings


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "model.layout=bard"], "model.layout = 'bard'"),
        (
            ["--set", "model.layout=t5"],
            "reads a source while it writes, and a model is needed that reads both sides",
        ),
        (
            ["--set", "model.layout=t5", "--size", "paper_base", "--objective", "denoising"],
            "for t5's choose one of nano",
        ),
        (["--set", "model.layout=t5", "--continue", "runs/parent"], "runs/parent brings its layout"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(
    arguments: list[str], words: str, workplace: Path, told: Callable[..., Seen]
) -> None:
    out = workplace / "pretext" / "refused-layout"
    seen = told("", "pretrain", workplace / "notes.jsonl", "--out", out, "--quiet", *arguments)
    assert seen.code == 78
    assert words in seen.err


def test_rows_longer_than_the_learnt_positions_are_refused_before_the_first_step(workplace: Path) -> None:
    parent = pretrained_on(workplace, "denoising", "short-rows", "model.layout=bart")
    rows = workplace / "long.tsv"
    rows.write_text(
        "source\ttarget\n" + "".join(f"the {word} came early\t{word}\n" for word in "abcdefgh"),
        encoding="utf-8",
    )
    with pytest.raises(
        SettingsError, match=r"training\.length = 1025, and the model learns a vector for each of 1024"
    ):
        hw.finetune(
            parent,
            rows,
            task="summarization",
            out=workplace / "pretext" / "long-rows",
            steps=1,
            assign=["training.length=1025"],
            quiet=True,
        )


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


def test_texts_that_are_compared_beside_another_task_are_not_cut_into_parts(workplace: Path) -> None:
    with pytest.raises(SettingsError, match="compares the examples of a batch"):
        hw.pretrain(
            workplace / "notes.jsonl",
            out=workplace / "pretext" / "parts",
            objective="masked_tokens,sentence_contrast",
            size="nano",
            steps=2,
            assign=[*SHORT, "training.micro_batches=2"],
            quiet=True,
        )
