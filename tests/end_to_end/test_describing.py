"""Captions of pictures and words of recordings, written by models that begin with what they have seen and heard."""

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import headwater as hw
from headwater.evaluation.metrics.recognition import RecognitionReport
from headwater.evaluation.metrics.text import TextReport
from headwater.models import EncoderDecoderSettings, load_bundle
from headwater.models.generation import Prompt
from headwater.models.generation.writer import writer_for

ASSIGN = ["machine.threads=1", "training.learning_rate=0.003", "training.micro_batches=1"]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}
PITCHES = {"low": 300, "middle": 800, "high": 2000}


@pytest.fixture(scope="module")
def sheets(workplace: Path) -> Path:
    folder = workplace / "squares"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", 240), ("test", 40)):
        lines = ["file\tcaption"]
        for number in range(count):
            above, below = (str(rng.choice(list(COLOURS))) for _ in range(2))
            pixels = rng.integers(0, 50, (16, 16, 3), dtype=np.uint8)
            pixels[1:7, 3:13], pixels[9:15, 3:13] = COLOURS[above], COLOURS[below]
            Image.fromarray(pixels).save(folder / f"{part}-{number}.png")
            lines.append(f"{part}-{number}.png\t{above} above {below}")
        (folder / f"{part}.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def sounds(workplace: Path) -> Path:
    folder = workplace / "beeps"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", 240), ("test", 40)):
        lines = ["file\ttext"]
        for number in range(count):
            said = [str(word) for word in rng.choice(list(PITCHES), rng.integers(1, 4))]
            parts = [np.sin(2 * np.pi * PITCHES[word] * np.arange(800) / 8000) for word in said]
            silence = np.zeros(400)
            samples = np.concatenate([silence, *(part for tone in parts for part in (tone, silence))])
            noisy = 9000 * samples + rng.normal(0, 100, len(samples))
            with wave.open(str(folder / f"{part}-{number}.wav"), "wb") as sound:
                sound.setparams((1, 2, 8000, 0, "NONE", ""))
                sound.writeframes(noisy.astype("<i2").tobytes())
            lines.append(f"{part}-{number}.wav\t{' '.join(said)}")
        (folder / f"{part}.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def captions(workplace: Path, cache: object, sheets: Path) -> hw.Run:
    pretrained = hw.pretrain(
        sheets / "train.tsv",
        out=workplace / "seen",
        size="nano",
        steps=20,
        assign=[ASSIGN[0], "training.batch_rows=16", "model.patch=4"],
        quiet=True,
    )
    return hw.finetune(
        pretrained,
        sheets / "train.tsv",
        out=workplace / "captions",
        task="captioning",
        label="caption",
        validation=sheets / "test.tsv",
        steps=80,
        assign=ASSIGN,
        quiet=True,
    )


def test_captions_say_what_is_seen(captions: hw.Run, sheets: Path) -> None:
    page = captions.path / "reports" / "captions.html"
    rows = dict(line.split("\t") for line in (sheets / "test.tsv").read_text().splitlines())
    kept = captions.to_dict()["examples"]  # of validation rows
    assert {Path(text["source"]).name: text["reference"] for text in kept}.items() <= rows.items()
    assert page.read_text().count("data:image/png") == len(kept) == 10
    page.unlink()
    report = captions.evaluate(sheets / "test.tsv")
    assert isinstance(report, TextReport)
    assert report.exact.value > 60  # one in nine by chance
    assert page.is_file()
    assert report.to_dict()["examples"] == kept  # the same rows, written by the same model
    assert f"reference  {kept[0]['reference']}" in str(report)
    assert f"written    {kept[0]['written']}" in str(captions)
    (answer,) = captions.predict([sheets / "test-0.png"])
    assert answer["text"].split()[1] == "above"
    assert captions.summary.evaluation["loss"] < 0.2


@torch.no_grad()
def test_cached_and_uncached_score_alike(captions: hw.Run, sheets: Path) -> None:
    bundle = load_bundle(captions.path / "model")
    assert isinstance(bundle.settings, EncoderDecoderSettings)
    assert bundle.settings.looks
    model = bundle.model.eval()
    patches = bundle.settings.encoder.patches
    assert patches is not None
    torch.manual_seed(0)
    source = torch.randn(2, patches.count + 1, patches.features)
    tokens = np.array([1, 5, 7, 9])
    writer, first = writer_for(model, [Prompt(tokens[:1], row.numpy()) for row in source], room=8, padding=0)
    scores = [first, *(writer.feed(torch.full((2, 1), int(token))) for token in tokens[1:])]
    _, again = writer_for(model, [Prompt(tokens, row.numpy()) for row in source], room=8, padding=0)
    torch.testing.assert_close(scores[-1], again, atol=1e-5, rtol=0)


def test_a_described_run_goes_on_with_its_own_words(captions: hw.Run, sheets: Path, tmp_path: Path) -> None:
    more = hw.finetune(
        captions,
        sheets / "train.tsv",
        out=tmp_path / "more",
        task="captioning",
        label="caption",
        steps=5,
        assign=[ASSIGN[0], "training.learning_rate=1e-5"],
        quiet=True,
    )
    report = more.evaluate(sheets / "test.tsv")
    assert isinstance(report, TextReport)
    assert report.exact.value > 60


def test_speech_is_written_down_column_by_column(cache: object, sounds: Path, tmp_path: Path) -> None:
    run = hw.finetune(
        "scratch",
        sounds / "train.tsv",
        out=tmp_path / "spoken",
        task="speech_recognition",
        label="text",
        steps=240,
        assign=[*ASSIGN, "training.batch_rows=16"],
        quiet=True,
    )
    report = run.evaluate(sounds / "test.tsv")
    assert isinstance(report, RecognitionReport)
    assert report.word_error_rate.value < 45
    assert len(report.examples) == 10
    assert (run.path / "reports" / "captions.html").read_text().count("data:image/png") == 10
    (answer,) = run.predict([sounds / "test-0.wav"])
    assert set(answer["text"].split()) <= set(PITCHES)


def test_what_cannot_be_described_is_refused(sheets: Path, workplace: Path, tmp_path: Path) -> None:
    with pytest.raises(hw.HeadwaterError, match="is no recording"):
        hw.finetune(
            "scratch",
            sheets / "train.tsv",
            out=tmp_path / "a",
            task="speech_recognition",
            label="caption",
            quiet=True,
        )
    with pytest.raises(hw.HeadwaterError, match="holds text, and this task reads pictures"):
        hw.finetune("scratch", workplace / "train.csv", out=tmp_path / "b", task="captioning", quiet=True)


def test_all_captions_of_a_picture_are_learnt_and_judged_by(sheets: Path, tmp_path: Path) -> None:
    lines = ["image,caption"]
    for row in (sheets / "train.tsv").read_text().splitlines()[1:41]:
        file, caption = row.split("\t")
        lines += [f"{file},{caption}", f"{file},{caption.replace('above', 'over')}"]
    table = sheets / "several.csv"
    table.write_text("\n".join(lines) + "\n")
    try:
        run = hw.finetune(
            "scratch",
            table,
            out=tmp_path / "run",
            task="captioning",
            label="caption",
            steps=3,
            assign=ASSIGN,
            quiet=True,
        )
        report = run.evaluate(table)
    finally:
        table.unlink()
    facts = run.folder.read_json("data.json")
    assert facts["train"]["rows"] == 80
    assert isinstance(report, TextReport)
    assert report.rows == 40
    assert "nrefs:2" in report.signature
