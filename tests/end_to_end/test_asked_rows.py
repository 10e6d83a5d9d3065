"""Rows of files and of standard input: each is answered in its place, and as it comes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import headwater as hw
from tests.end_to_end.conftest import Seen

PROGRAM = [sys.executable, "-m", "headwater"]


def test_who_keeps_standard_input_open_is_answered(finetuned: hw.Run) -> None:
    command = [*PROGRAM, "predict", str(finetuned.path), "-", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdin is not None
        assert asking.stdout is not None
        for row in ("the rain came early", "the soup and the bread"):
            asking.stdin.write(row + "\n")
            asking.stdin.flush()
            assert "label" in json.loads(asking.stdout.readline())
        asking.stdin.close()
        assert asking.wait(60) == 0


def test_half_a_line_keeps_no_whole_one_waiting(finetuned: hw.Run) -> None:
    command = [*PROGRAM, "predict", str(finetuned.path), "-", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdin is not None
        assert asking.stdout is not None
        asking.stdin.write("the rain came early\nthe so")
        asking.stdin.flush()
        assert "label" in json.loads(asking.stdout.readline())
        asking.stdin.write("up and the bread\n")
        asking.stdin.close()
        assert "label" in json.loads(asking.stdout.readline())
        assert asking.wait(60) == 0


def test_many_rows_are_answered_alike_however_they_come(finetuned: hw.Run, told: Callable[..., Seen]) -> None:
    rows = [f"the rain came {number} times and the wind stayed" for number in range(2500)]
    seen = told("", "predict", finetuned.path, stdin="\n".join(rows).encode())
    assert len(seen.out.splitlines()) == 2500
    assert json.loads(seen.out.splitlines()[1700])["label"] == finetuned.predict(rows[1700])[0]["label"]


def test_a_closed_standard_input_is_said(
    finetuned: hw.Run, told: Callable[..., Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.run(
        f"{' '.join(PROGRAM)} predict {finetuned.path} <&-",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "standard input is closed; name a file, or hand rows over" in ended.stderr


def test_rows_of_a_table_that_cannot_be_answered_have_their_place(
    finetuned: hw.Run, told: Callable[..., Seen], tmp_path: Path
) -> None:
    path = tmp_path / "asked.csv"
    rows = ["id,text", "1,the rain came early", '2,""', "3,the soup was cold, and more", "4,the boat"]
    path.write_text("\n".join(rows), encoding="utf-8")
    seen = told("rows without a text in a table", "predict", finetuned.path, path, about="left out")
    answers = [json.loads(line) for line in seen.out.splitlines()]
    assert seen.code == 65
    assert answers[1] == {"row": 2, "error": "empty text"}
    assert answers[2]["row"] == 3
    assert "wrong number of cells" in answers[2]["error"]
    assert [("label" in answer) for answer in answers] == [True, False, False, True]
    out = tmp_path / "vectors.npy"
    told("", "embed", finetuned.path, path, "--out", out)
    assert np.isfinite(np.load(out)).all(axis=1).tolist() == [True, False, False, True]


def test_each_of_many_rows_that_cannot_be_answered_has_its_place(
    finetuned: hw.Run, told: Callable[..., Seen], tmp_path: Path
) -> None:
    path = tmp_path / "asked.csv"
    rows = [f"{n},{'the rain came early' if n % 2 else ''}" for n in range(100)]
    path.write_text("\n".join(["id,text", *rows]), encoding="utf-8")
    seen = told("", "predict", finetuned.path, path)
    answers = [json.loads(line) for line in seen.out.splitlines()]
    assert [("label" in answer) for answer in answers] == [False, True] * 50


def test_a_named_encoding_leaves_utf_8_as_it_is(finetuned: hw.Run, told: Callable[..., Seen]) -> None:
    row = "the naïve rain came early"
    alike = [
        told("", "predict", finetuned.path, "-", *named, stdin=row.encode(encoding)).out
        for encoding, named in (
            ("utf-8", ()),
            ("utf-8", ("--encoding", "cp1252")),
            ("cp1252", ("--encoding", "cp1252")),
        )
    ]
    assert alike[0] == alike[1] == alike[2] != ""


def test_the_user_names_the_encoding_of_rows(
    finetuned: hw.Run, told: Callable[..., Seen], tmp_path: Path
) -> None:
    path = tmp_path / "asked.csv"
    path.write_bytes("text\nthe naïve rain came early\n".encode("cp437"))
    named = told("", "predict", finetuned.path, path, "--encoding", "cp437")
    assert json.loads(named.out) == json.loads(json.dumps(finetuned.predict("the naïve rain came early")[0]))
    wrong = told("an encoding that does not exist", "predict", finetuned.path, path, "--encoding", "klingon")
    assert wrong.code == 78
    assert "there is no encoding klingon; expected one like utf-8" in wrong.err


def test_a_run_remembers_the_encoding_of_its_data(workplace: Path, tmp_path: Path) -> None:
    data = tmp_path / "notes.txt"
    data.write_bytes("\n".join(f"the naïve pump number {n} runs" for n in range(50)).encode("cp437"))
    run = hw.pretrain(
        data,
        out=tmp_path / "run",
        encoding="cp437",
        size="nano",
        steps=2,
        assign=["training.length=32", "training.batch_tokens=256"],
        quiet=True,
    )
    assert run.folder.settings().data.encoding == "cp437"
    assert "HEADWATER_ENCODING" not in os.environ
    tokenizer = (run.path / "model" / "tokenizer.json").read_text(encoding="utf-8")
    assert "Ã¯" in tokenizer  # the bytes of ï, as byte-level vocabularies write them


def test_arguments_that_are_no_text_are_refused_in_words(told: Callable[..., Seen], tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xfe")
    seen = told("", "pretrain", tmp_path, "--out", name)
    assert seen.code == 2
    assert "holds bytes that are not UTF-8" in seen.err
