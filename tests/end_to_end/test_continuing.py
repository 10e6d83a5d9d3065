"""Going on from a run: its vocabulary, its name in the card, and what becomes of what it knew."""

import json
from pathlib import Path

import pytest

import headwater as hw
from headwater.errors import UsageError

SHORT = ["training.length=64", "training.batch_tokens=512"]


def test_continuing_a_run_keeps_its_vocabulary_and_names_its_parent(
    pretrained: hw.Run, workplace: Path
) -> None:
    run = hw.pretrain(
        workplace / "train.csv",
        out=workplace / "runs_continued",
        start_from=pretrained.path,
        steps=2,
        assign=["training.length=64", "training.batch_tokens=512"],
        quiet=True,
    )
    card = json.loads((run.path / "model" / "headwater.json").read_text(encoding="utf-8"))
    assert card["parent"]["run"] == str(pretrained.path)
    one, other = ((path / "model" / "tokenizer.json").read_bytes() for path in (pretrained.path, run.path))
    assert one == other


def test_a_run_that_changes_nothing_forgets_nothing(pretrained: hw.Run, workplace: Path) -> None:
    run = hw.pretrain(
        workplace / "train.csv",
        out=workplace / "runs_unmoved",
        start_from=pretrained.path,
        steps=2,
        assign=[*SHORT, "training.learning_rate=1e-12"],
        quiet=True,
    )
    found = json.loads((run.path / "model" / "headwater.json").read_text(encoding="utf-8"))["forgetting"]
    assert found["before"] == pytest.approx(found["after"], abs=1e-5)
    assert "forgot:" not in found["sentence"]


def test_other_text_at_a_high_rate_is_seen_to_write_over_the_old(pretrained: hw.Run, workplace: Path) -> None:
    digits = workplace / "digits.txt"
    digits.write_text(
        "\n".join(f"{number} {number**3} {number**5}" for number in range(9, 600)), encoding="utf-8"
    )
    run = hw.pretrain(
        digits,
        out=workplace / "runs_forgetful",
        start_from=pretrained.path,
        steps=12,
        assign=[*SHORT, "training.learning_rate=0.02"],
        quiet=True,
    )
    assert run.summary.forgetting is not None
    assert "the model forgot" in run.summary.forgetting
    assert run.summary.forgetting in str(run)


def test_a_task_that_both_share_is_what_forgetting_is_told_by(
    pretrained: hw.Run, workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = hw.pretrain(
        workplace / "train.csv",
        out=tmp_path / "both",
        start_from=pretrained.path,
        objective="masked_tokens=0.5,sentence_order=0.3",
        steps=2,
        assign=[*SHORT, "training.learning_rate=1e-12"],
    )
    assert "checked for forgetting by masked_tokens, which both learn" in capsys.readouterr().err
    found = json.loads((run.path / "model" / "headwater.json").read_text(encoding="utf-8"))["forgetting"]
    assert found["tasks"] == ["masked_tokens"]
    assert found["before"] == pytest.approx(found["after"], abs=1e-5)
    before = pretrained.summary.evaluation["masked_tokens"]
    assert found["before"] == pytest.approx(before, rel=0.05)  # of this task alone, not of a weighted sum
    assert "the held-out loss of masked_tokens on the data it came from" in found["sentence"]


def test_without_the_old_documents_it_is_said_that_nothing_was_checked(
    pretrained: hw.Run, workplace: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = hw.pretrain(
        workplace / "train.csv",
        out=tmp_path / "elsewhere",
        start_from=pretrained.path,
        steps=2,
        assign=[*SHORT, f"data.cache={tmp_path / 'empty'}"],
    )
    assert run.summary.forgetting is None
    assert "not checked for forgetting" in capsys.readouterr().err


def test_a_run_that_goes_on_is_as_large_as_its_parent(
    pretrained: hw.Run, workplace: Path, tmp_path: Path
) -> None:
    run = hw.pretrain(
        workplace / "train.csv", out=tmp_path / "on", start_from=pretrained, steps=1, quiet=True
    )
    card = json.loads((run.path / "model" / "headwater.json").read_text(encoding="utf-8"))
    assert (card["size"], card["task"]) == ("nano", "masked_tokens")
    assert run.folder.settings().training.length == 128


def test_another_size_than_that_of_the_parent_is_refused(
    pretrained: hw.Run, workplace: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is nano, and brings its size"):
        hw.pretrain(
            workplace / "train.csv", out=tmp_path / "on", start_from=pretrained, size="base", quiet=True
        )
    assert not (tmp_path / "on").exists()


def test_a_run_that_goes_on_has_the_pretext_task_of_its_parent(workplace: Path, tmp_path: Path) -> None:
    parent = hw.pretrain(
        workplace / "notes.jsonl",
        out=tmp_path / "parent",
        size="nano",
        objective="next_token",
        steps=2,
        assign=SHORT,
        quiet=True,
    )
    run = hw.pretrain(
        workplace / "train.csv", out=tmp_path / "on", start_from=parent, steps=1, assign=SHORT, quiet=True
    )
    assert run.folder.settings().objective.name == "next_token"


def test_what_is_left_out_in_training_is_said_anew_for_a_run_that_has_learnt(
    pretrained: hw.Run, workplace: Path, tmp_path: Path
) -> None:
    asked = [
        *("model.dropout=0.2", "model.attention_dropout=0.3", "model.stochastic_depth=0.4"),
        "training.length=32",
    ]
    train = workplace / "train.csv"
    further = hw.pretrain(
        train, out=tmp_path / "on", start_from=pretrained, steps=2, assign=[*SHORT, *asked], quiet=True
    )
    tuned = hw.finetune(pretrained, train, out=tmp_path / "tuned", steps=2, assign=asked, quiet=True)
    told = hw.finetune(tuned, train, out=tmp_path / "told", steps=2, assign=asked[-1:], quiet=True)
    for run, wanted in ((further, (0.2, 0.3, 0.4)), (tuned, (0.2, 0.3, 0.4)), (told, (0.1, 0.3, 0.4))):
        backbone = json.loads((run.path / "model" / "headwater.json").read_text(encoding="utf-8"))["backbone"]
        names = ("residual_dropout", "attention_dropout", "stochastic_depth")
        assert tuple(backbone[name] for name in names) == wanted
        assert backbone["embedding_dropout"] == wanted[0]
