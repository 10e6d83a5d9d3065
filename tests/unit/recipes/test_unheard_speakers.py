"""The recipe of speakers left out: each has two tables, beside the archives that hold the recordings."""

import csv
from pathlib import Path

import pytest

from recipes.unheard_speakers.leave_one_out import main as leave_one_out


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_speaker_is_in_one_of_his_two_tables(tmp_path: Path) -> None:
    (tmp_path / "recordings.zip").write_bytes(b"recordings")
    lines = ["file\tdigit\tspeaker\tindex"]
    lines += [
        f"{digit}_{who}_{take}.wav\t{digit}\t{who}\t{take}"
        for who in ("anna", "ben", "cleo")
        for digit in range(10)
        for take in range(2)
    ]
    (tmp_path / "labels.tsv").write_text("\n".join(lines) + "\n")
    for _ in range(2):  # a second time finds its links there
        leave_one_out([str(tmp_path / "labels.tsv"), str(tmp_path / "out")])
    assert (tmp_path / "out" / "recordings.zip").read_bytes() == b"recordings"
    for who in ("anna", "ben", "cleo"):
        own, others = (read(tmp_path / "out" / f"{part}_{who}.tsv") for part in ("only", "not"))
        assert [list(row) for row in own] == [["file", "digit"]] * 20
        assert len(others) == 40
        assert {who in row["file"] for row in own} == {True}
        assert {who in row["file"] for row in others} == {False}
        assert all(row["file"].startswith(row["digit"]) for row in (*own, *others))


def test_a_column_that_is_not_there_is_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.tsv").write_text("file\tdigit\n0.wav\t0\n")
    with pytest.raises(SystemExit):
        leave_one_out([str(tmp_path / "labels.tsv"), str(tmp_path / "out")])
    assert "has no column speaker; found file, digit" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
