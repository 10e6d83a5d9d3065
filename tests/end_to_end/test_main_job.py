"""Raw files → pre-trained → fine-tuned → judged → handed on, as a user does it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import headwater as hw
from headwater.cli.app import main
from headwater.errors import BadDataError, UsageError
from headwater.evaluation.metrics import ClassificationReport
from headwater.experiments.arms import starting_points
from headwater.experiments.experiment import Question
from headwater.experiments.plan import ARMS
from headwater.experiments.rows import fine_tuned_on_note
from headwater.models import cost_of, decoder_settings, load_bundle
from headwater.models.building import build_backbone
from headwater.run.seen import Seen
from headwater.run.starting import StartingPoint
from headwater.sequence import SequenceLayout
from headwater.settings import read_toml
from headwater.training.precision import look_at_machine
from tests.unit.training.test_events import curve_events


def headwater(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command line prints on standard output; it must end well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["headwater", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    printed = capsys.readouterr()
    assert end.value.code == 0, printed.err
    return printed.out


def test_a_run_folder_says_everything_about_its_run(pretrained: hw.Run) -> None:
    settings = read_toml(pretrained.path / "settings.toml")
    assert settings["training"]["steps"] == 12
    assert settings["training"]["warmup_steps"] >= 1
    facts = json.loads((pretrained.path / "data.json").read_text(encoding="utf-8"))
    assert facts["documents"] > 500
    assert json.loads((pretrained.path / "environment.json").read_text(encoding="utf-8"))["packages"]["torch"]
    assert pretrained.summary.finished
    assert pretrained.summary.step == 12


def test_a_fine_tuned_run_knows_the_rows_that_it_learnt_from(
    capsys: pytest.CaptureFixture[str], workplace: Path, finetuned: hw.Run, tmp_path: Path
) -> None:
    seen = Seen.of(finetuned.path)
    assert seen.notes == ()
    with pytest.raises(BadDataError, match="120 of 120 test rows in what the model was trained on before"):
        hw.gain(finetuned, workplace / "test.csv", test=workplace / "train.csv", quiet=True)
    asked = Question(
        run=str(finetuned.path),
        train=str(workplace / "train.csv"),
        test=str(workplace / "test.csv"),
        text=None,
        label=None,
        validation=None,
        shifted_test=None,
        budgets=(4,),
        seeds=1,
        rates=3,
        assign=(),
    )
    rows = asked.rows(seen)
    (note,) = fine_tuned_on_note(finetuned.path, rows.train)
    assert f"{len(rows.train)} of {len(rows.train)} training rows were fine-tuned on before" in note
    header, *lines = (workplace / "test.csv").read_text(encoding="utf-8").splitlines()
    learnt = (workplace / "train.csv").read_text(encoding="utf-8").splitlines()[1:4]
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("\n".join([header, *lines, *learnt]) + "\n", encoding="utf-8")
    finetuned.evaluate(mixed, quiet=False)
    assert (
        f"3 of {len(lines) + 3} rows stand among those that the run was fine-tuned on"
        in capsys.readouterr().err
    )


def test_tensorboard_has_curves_and_the_settings_of_a_run(pretrained: hw.Run) -> None:
    values = [value for event in curve_events(pretrained.path) for value in event.summary.value]
    tags = {value.tag for value in values}
    assert {"train/loss", "eval/loss", "lr"} <= tags
    (session,) = [value.metadata.plugin_data.content for value in values if value.tag.startswith("_hparams_")]
    for name in (b"training.learning_rate", b"training.warmup_steps", b"model.size", b"data.paths"):
        assert name in session
    assert "loss" in pretrained.summary.evaluation


def test_pretraining_learns_and_finetuning_learns_more(
    pretrained: hw.Run, finetuned: hw.Run, workplace: Path
) -> None:
    events = [json.loads(line) for line in (pretrained.path / "events.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in events if event["kind"] == "train"]
    assert losses[-1] < losses[0]
    report = finetuned.evaluate(workplace / "test.csv")
    assert isinstance(report, ClassificationReport)
    assert report.accuracy.value > 0.6  # three classes; the words tell
    assert report.accuracy.low <= report.accuracy.value <= report.accuracy.high


def test_the_shipped_model_gives_transformers_the_same_logits(pretrained: hw.Run) -> None:
    ours = load_bundle(pretrained.path / "model").model.eval()
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(pretrained.path / "model").eval()
    words = transformers.AutoTokenizer.from_pretrained(pretrained.path / "model")
    encoded = words(["the rain came early and the [MASK] stayed", "soup"], padding=True, return_tensors="pt")
    layout = SequenceLayout.padded(encoded["attention_mask"].sum(1), encoded["input_ids"].shape[1])
    with torch.no_grad():
        mine = ours.heads["masked_tokens"](ours.backbone(encoded["input_ids"], layout))
        logits = theirs(**{name: encoded[name] for name in ("input_ids", "attention_mask")}).logits
    torch.testing.assert_close(mine[layout.real], logits[layout.real], rtol=0, atol=1e-5)


def test_one_text_is_one_row_and_a_mapping_is_read_by_its_columns(finetuned: hw.Run) -> None:
    text = "a boat and a rope"
    (answer,) = finetuned.predict(text)
    assert finetuned.predict([{"id": 1, "text": text, "label": "x"}]) == [answer]
    assert finetuned.embed(text).shape[0] == 1
    for wrong in (None, 3, [], {"id": 1}):
        with pytest.raises(UsageError, match="expected a text, several of them, or a mapping of columns"):
            finetuned.predict([wrong])  # pyright: ignore[reportArgumentType]


def test_predictions_are_the_same_from_python_and_from_the_command_line(
    finetuned: hw.Run, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["the storm and the frost", "butter on the bread"]
    (workplace / "rows.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    printed = headwater(capsys, "predict", finetuned.path, workplace / "rows.jsonl", "--quiet")
    assert [json.loads(line) for line in printed.splitlines()] == finetuned.predict(texts)


def test_every_part_of_a_folder_is_answered(finetuned: hw.Run, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text\nthe storm and the frost\n")
    (tmp_path / "train.csv").write_text("text\nbutter on the bread\nthe frost\n")
    answers = list(finetuned.predict_rows(str(tmp_path)))
    texts = ["the storm and the frost", "butter on the bread", "the frost"]
    assert [one["label"] for one in answers] == [one["label"] for one in finetuned.predict(texts)]


def test_answers_in_bf16_are_nearly_those_in_fp32_and_come_only_when_asked_for(
    finetuned: hw.Run, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["the storm and the frost", "butter on the bread", "the frost"]
    exact = finetuned.embed(texts)
    assert np.array_equal(hw.open_run(finetuned.path).embed(texts), exact)
    near = hw.open_run(finetuned.path, precision="bf16").embed(texts)
    assert near.dtype == exact.dtype == np.float32
    error = np.linalg.norm(near - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert np.all((error > 0) & (error < 0.03))
    printed = headwater(
        capsys, "embed", finetuned.path, workplace / "test.csv", "--precision", "bf16", "--quiet"
    )
    first = json.loads(printed.splitlines()[0])["vector"]
    other = headwater(capsys, "embed", finetuned.path, workplace / "test.csv", "--quiet")
    assert first != json.loads(other.splitlines()[0])["vector"]
    usual = hw.open_run(finetuned.path, precision="auto").folder.precision
    assert usual == ("bf16" if look_at_machine("cpu").bf16 else "fp32")
    assert hw.open_run(hw.open_run(finetuned.path, precision="bf16")).folder.precision == "bf16"


def test_embeddings_come_as_rows_or_as_an_array(
    pretrained: hw.Run, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = workplace / "vectors.npy"
    answer = json.loads(
        headwater(capsys, "embed", pretrained.path, workplace / "test.csv", "--out", out, "--json")
    )
    assert answer["rows"] == len(np.load(out)) == 60
    assert answer["width"] == 128


def test_evaluate_prints_one_json_object(
    finetuned: hw.Run, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(headwater(capsys, "evaluate", finetuned.path, workplace / "test.csv", "--json"))
    assert set(found["accuracy"]) == {"value", "low", "high"}
    assert found["read_in"] == {"precision": "fp32", "engine": "torch"}
    told = headwater(capsys, "evaluate", finetuned.path, workplace / "test.csv", "--precision", "bf16")
    assert told.endswith("in bf16 by torch\n")


def test_gain_judges_every_arm_and_keeps_its_cells(
    pretrained: hw.Run, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "gain",
        pretrained.path,
        workplace / "train.csv",
        "--test",
        workplace / "test.csv",
        "--budgets",
        "4,8",
    )
    options = ("--seeds", "1", "--set", "training.steps=3", "--json", "--quiet")
    found = json.loads(headwater(capsys, *arguments, *options))
    assert {cell["arm"] for cell in found["cells"]} == {
        "pretrained",
        "scratch",
        "recurrent",
        "convolutional",
        "floor",
    }
    assert {row["budget"] for row in found["summary"]} == {4, 8}
    assert {verdict["verdict"] for verdict in found["verdicts"]} == {"not_enough_seeds"}
    assert found["leakage"]["leaked_rows"] == 0
    assert found["sentence"]
    assert found["pretraining"]["steps"] == 12
    peaks = [cell["cost"]["peak_memory"] for cell in found["cells"]]
    assert all(30 << 20 < peak < 8 << 30 for peak in peaks)
    for cell in found["cells"]:
        assert len(cell["tried"]) == 3
        assert all(choice["cost"]["flops"] > 0.0 for choice in cell["tried"])
        steps = [choice["cost"]["steps"] for choice in cell["tried"]]
        assert steps == ([None] * 3 if cell["arm"] == "floor" else [3, 3, 3])
    page = (pretrained.path / "reports" / "gain.html").read_text(encoding="utf-8")
    assert "pretrained, choosing among 3 learning rates" in page
    assert "<svg" in page
    assert "Frozen vectors" in page
    drawn = (pretrained.path / "reports" / "gain-rows.tsv").read_text(encoding="utf-8").splitlines()
    assert drawn[0] == "budget\tseed\tdigest\tlabel\tfile\trow"
    assert len(drawn) == 1 + 3 * (4 + 8)
    assert "http://" not in page.replace("http://www.w3.org", "")

    kept = workplace / "cache" / "gain"
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    again = json.loads(headwater(capsys, *arguments, *options))
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before
    assert again["summary"] == found["summary"]


def test_a_console_tells_leaks_verdicts_and_the_shifted_test(
    pretrained: hw.Run, workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = json.loads((workplace / "notes.jsonl").read_text(encoding="utf-8").splitlines()[1])["note"]
    rows = (workplace / "test.csv").read_text(encoding="utf-8").splitlines()
    for name in ("leaky.csv", "shifted.csv"):
        (tmp_path / name).write_text("\n".join([*rows, f'"{note}",harbour']) + "\n", encoding="utf-8")
    told = headwater(
        capsys,
        *("gain", pretrained.path, workplace / "train.csv", "--test", tmp_path / "leaky.csv"),
        *("--shifted-test", tmp_path / "shifted.csv", "--budgets", "4", "--seeds", "1"),
        *(
            "--arms",
            "pretrained,scratch",
            "--set",
            "training.steps=2",
            "--out",
            tmp_path / "report",
            "--quiet",
        ),
    )
    assert "1 of 61 test rows (1 exactly, 0 nearly) were in what the model was trained on before" in told
    assert "with the leaked rows: pretrained at 4 labels per class" in told
    assert "shifted test" in told
    assert "1 rows of it were in what the model was trained on before" in told
    assert "At 4 labels per class, 1 seed cannot say" in told
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "gain.html",
        "gain.json",
        "gain-rows.tsv",
    }


def test_a_run_says_what_it_cost(pretrained: hw.Run) -> None:
    card = json.loads((pretrained.path / "model" / "headwater.json").read_text(encoding="utf-8"))
    body = cost_of(StartingPoint.of_run(pretrained.path).settings, length=1).body_parameters
    cost = card["trained"]
    # Six operations a parameter and token, and the output layer and attention beside them.
    assert 6 * body * cost["tokens"] < cost["flops"] < 20 * body * cost["tokens"]
    assert 50 << 20 < cost["peak_memory"] < 8 << 30


def test_every_neural_arm_has_as_many_parameters(pretrained: hw.Run) -> None:
    arms = starting_points(StartingPoint.of_run(pretrained.path))
    counts = {name: cost_of(start.settings, length=1).body_parameters for name, start in arms.items()}
    assert max(counts.values()) / min(counts.values()) < 1.06


def test_other_arms_read_a_text_from_both_sides_whatever_the_run_reads(pretrained: hw.Run) -> None:
    run = StartingPoint.of_run(pretrained.path)
    decoder = run.having(decoder_settings("nano", run.settings.vocabulary_size))
    arms = starting_points(decoder)
    assert [build_backbone(arms[name].settings, seed=0).reads for name in ARMS[:4]] == [
        "past",
        "past",
        "both",
        "both",
    ]
    counts = [cost_of(arms[name].settings, length=1).body_parameters for name in ARMS[:4]]
    assert max(counts) / min(counts) < 1.06


def test_runs_are_listed_with_what_they_are(
    pretrained: hw.Run, finetuned: hw.Run, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(headwater(capsys, "runs", workplace / "runs", "--json"))
    assert [(row["kind"], row["finished"]) for row in found["runs"]] == [
        ("finetune", True),
        ("pretrain", True),
    ]


def test_a_finished_run_is_not_trained_again(pretrained: hw.Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = (pretrained.path / "events.jsonl").read_bytes()
    assert "finished" in headwater(capsys, "resume", pretrained.path, "--quiet")
    assert (pretrained.path / "events.jsonl").read_bytes() == before


def test_settings_repeat_a_run_bit_for_bit(pretrained: hw.Run, workplace: Path) -> None:
    again = hw.pretrain(out=workplace / "runs_again", settings=pretrained.path / "settings.toml", quiet=True)
    one, other = ((run.path / "model" / "model.safetensors").read_bytes() for run in (pretrained, again))
    assert one == other


def test_a_run_shows_itself_in_a_notebook(finetuned: hw.Run) -> None:
    assert "finished" in repr(finetuned)
    assert finetuned._repr_html_().startswith("<table>")


def test_scratch_stands_for_random_weights(workplace: Path) -> None:
    run = hw.finetune(
        "scratch", workplace / "train.csv", out=workplace / "scratch_run", size="nano", steps=4, quiet=True
    )
    assert run.summary.task == "classification"
    assert len(run.predict(["a boat and a rope"])[0]["probabilities"]) == 3
