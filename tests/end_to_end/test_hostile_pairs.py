"""Pairs, captions and speech that are not what they should be: what a user reads, and the exit code."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from tests.end_to_end.test_hostile_media import SMALL, folder, png, wav

Told = Callable[..., Any]
PAIRS = ("--objective", "pair_contrast")


def captions(place: Path, lines: str, count: int = 8) -> Path:
    folder(place, {f"{number}.png": png(number) for number in range(count)})
    (place / "captions.tsv").write_text(f"file\tcaption\n{lines}", encoding="utf-8")
    return place / "captions.tsv"


GOOD = "".join(f"{number}.png\ta picture with the number {number}\n" for number in range(8))


@pytest.mark.parametrize(
    ("title", "lines", "more", "words"),
    [
        (
            "pairs none of whose files is there",
            "".join(f"lost-{number}.png\ta lost one of {number}\n" for number in range(8)),
            (),
            "found pictures; expected two kinds of files with the same names, or a table that names both",
        ),
        ("pairs with a column that is not there", GOOD, ("--text", "title"), 'there is no column "title"'),
        (
            "pairs of recordings where there are pictures",
            GOOD,
            ("--pair", "audio,text"),
            "no column names recordings",
        ),
        (
            "pairs of one thing",
            GOOD,
            ("--pair", "image"),
            "expected two of text, image, audio, video, flow",
        ),
    ],
)
def test_pairs_that_cannot_be_found(
    title: str,
    lines: str,
    more: tuple[str, ...],
    words: str,
    told: Told,
    cache: object,
    tmp_path: Path,
) -> None:
    table = captions(tmp_path / "media", lines)
    seen = told(title, "pretrain", table, *PAIRS, "--out", tmp_path / "run", *SMALL, *more)
    assert seen.code in (65, 78)
    assert words in seen.err
    assert not (tmp_path / "run").exists()


def test_a_pair_that_cannot_be_read_is_left_out(told: Told, cache: object, tmp_path: Path) -> None:
    table = captions(tmp_path / "media", GOOD + "9.png\ta picture that is not there\n3.png\t\n")
    (tmp_path / "media" / "5.png").write_bytes(b"broken")
    small = [part for part in SMALL if part != "-q"]
    seen = told(
        "pairs of which three cannot be used",
        *("pretrain", table, *PAIRS, "--out", tmp_path / "run", *small),
        about="left out of",
    )
    assert seen.code == 0
    assert "7 pairs to learn from" in seen.err
    for reason in ("no such file", "empty text", "no picture"):
        assert reason in seen.err


def test_texts_alone_are_no_pairs(told: Told, cache: object, workplace: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    table = tmp_path / "rows" / "train.csv"
    table.write_bytes((workplace / "train.csv").read_bytes())
    seen = told("texts for pairs", "pretrain", table, *PAIRS, "--out", tmp_path / "run", *SMALL)
    assert seen.code == 65
    assert "found no media" in seen.err


def test_a_classifier_from_words_needs_pairs(told: Told, cache: object, tmp_path: Path) -> None:
    table = captions(tmp_path / "media", GOOD)
    arguments = ("finetune", "scratch", table, "--task", "zero_shot", "--label", "caption")
    seen = told("zero_shot from random weights", *arguments, "--out", tmp_path / "run", "-q")
    assert seen.code == 2
    assert "zero_shot begins with a run of pairs" in seen.err


def test_captions_of_texts(told: Told, cache: object, workplace: Path, tmp_path: Path) -> None:
    seen = told(
        "captions of texts",
        *(
            "finetune",
            "scratch",
            workplace / "train.csv",
            "--task",
            "captioning",
            "--out",
            tmp_path / "run",
            "-q",
        ),
    )
    assert seen.code == 2
    assert "this task reads pictures, recordings or clips" in seen.err


def test_speech_in_pictures(told: Told, cache: object, tmp_path: Path) -> None:
    table = captions(tmp_path / "media", GOOD)
    arguments = ("finetune", "scratch", table, "--task", "speech_recognition", "--label", "caption")
    seen = told("speech in pictures", *arguments, "--out", tmp_path / "run", "-q")
    assert seen.code == 2
    assert "is no recording" in seen.err


def test_more_words_than_a_recording_can_hold(told: Told, cache: object, tmp_path: Path) -> None:
    files = {f"{number}.wav": wav(number) for number in range(6)}
    said = "one two three four five six seven eight nine ten eleven twelve"
    rows = "".join(f"{number}.wav\t{said}\n" for number in range(6))
    place = folder(tmp_path / "media", files | {"said.tsv": f"file\ttext\n{rows}".encode()})
    small = [part for part in SMALL if part != "-q"]
    seen = told(
        "more words than a recording can hold",
        *("finetune", "scratch", place / "said.tsv", "--task", "speech_recognition", "--label", "text"),
        *("--out", tmp_path / "run", *small),
        about="are not learnt",
    )
    assert seen.code == 0
    assert "6 of 6 texts have more tokens than the" in seen.err


def test_a_run_that_draws_nothing(told: Told, cache: object, tmp_path: Path) -> None:
    place = folder(tmp_path / "media", {f"{number}.png": png(number) for number in range(8)})
    hw.pretrain(place, out=tmp_path / "run", size="nano", steps=1, assign=["machine.threads=1"], quiet=True)
    seen = told(
        "pictures of a run that draws none", "generate", tmp_path / "run", "--out", tmp_path / "some.png"
    )
    assert seen.code == 2
    assert "was trained for masked_autoencoding and draws nothing" in seen.err


def test_a_tar_that_leads_out_of_its_folder(told: Told, cache: object, tmp_path: Path) -> None:
    place = folder(tmp_path / "media", {f"{number}.png": png(number) for number in range(4)})
    with tarfile.open(tmp_path / "media.tar.gz", "w:gz") as archive:
        for number in range(4):
            archive.add(place / f"{number}.png", f"{number}.png")
        archive.add(place / "0.png", "../out.png")
    seen = told("a tar with a picture outside of it", "inspect", tmp_path / "media.tar.gz", about="..")
    assert seen.code == 0
    assert "4 pictures in 4 files" in seen.out


KINDS = "file\ttitle\tprice\tkind\n" + "".join(
    f"{number}.png\tthe thing of number {number}\t{number}\t{'odd' if number % 2 else 'even'}\n"
    for number in range(8)
)
BOTH = ("--pair", "image,text")


def goods(place: Path, lines: str = KINDS) -> Path:
    folder(place, {f"{number}.png": png(number) for number in range(8)})
    (place / "goods.tsv").write_text(lines, encoding="utf-8")
    return place / "goods.tsv"


@pytest.mark.parametrize(
    ("title", "more", "code", "words"),
    [
        ("two things of a row, nobody says which is the label", (), 65, "price, kind are known of each pair"),
        (
            "two things of a row with a label that is not there",
            ("--label", "sort"),
            65,
            'there is no column "sort"',
        ),
        ("two things of a row for a task of one", ("--task", "tagging"), 2, "this task reads text"),
        ("one thing of a row named twice", ("--pair", "image,image"), 78, "expected two of text, image"),
    ],
)
def test_two_things_of_a_row(
    title: str, more: tuple[str, ...], code: int, words: str, told: Told, cache: object, tmp_path: Path
) -> None:
    table = goods(tmp_path / "media")
    seen = told(title, "finetune", "scratch", table, *BOTH, "--out", tmp_path / "run", *SMALL, *more)
    assert seen.code == code
    assert words in seen.err
    assert not (tmp_path / "run").exists()


def test_a_row_of_which_a_thing_is_missing(told: Told, cache: object, tmp_path: Path) -> None:
    rows = "9.png\ta thing without a picture\t1\todd\n3.png\t\t1\todd\n3.png\ta thing of no kind\t1\t\n"
    table = goods(tmp_path / "media", KINDS + rows)
    (tmp_path / "media" / "5.png").write_bytes(b"broken")
    small = [part for part in SMALL if part != "-q"]
    seen = told(
        "two things of a row, one of which is missing in four",
        *("finetune", "scratch", table, *BOTH, "--label", "kind", "--out", tmp_path / "run", *small),
        about="left out",
    )
    assert seen.code == 0
    assert "4 of 11 rows left out: 1 no such file, 1 empty text, 1 empty label, 1 no picture" in seen.err
    asked = told(
        "two things of a row, asked for one",
        *("predict", tmp_path / "run", "-"),
        stdin=b"a thing without a picture\n",
    )
    assert asked.code == 65
    assert "expected a file of pictures (file) and a text (title)" in asked.out
