"""Files that are not what they should be: what a user reads, and the exit code. docs/hostile-inputs.md shows it all."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import headwater as hw

SMALL = ("--size", "nano", "--steps", "1", "--set", "machine.threads=1", "--set", "training.length=32")
ROWS = [(f"The rain {number} came and {number * 7} stayed.", "ab"[number % 2]) for number in range(40)]


class Case(NamedTuple):
    """One file and what is said of it."""

    title: str
    file: str
    content: bytes
    code: int
    words: tuple[str, ...]
    verb: str = "finetune"
    options: tuple[str, ...] = ()


def table(rows: Sequence[Sequence[str]] = ROWS, header: str = "text,label") -> bytes:
    return "".join(f"{line}\n" for line in [header, *map(",".join, rows)]).encode()


def json_lines(rows: Sequence[tuple[str, str]], cut: int = 0) -> bytes:
    """Rows as JSON lines; every fifth loses its last ``cut`` characters."""
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    return "".join(f"{line[: len(line) - cut * (n % 5 == 0)]}\n" for n, line in enumerate(lines)).encode()


def spoilt(spot: bytes, every: int = 5) -> bytes:
    """The table with some bytes inside every fifth text."""
    lines = table().splitlines()
    return b"\n".join(
        line.replace(b"came", b"ca" + spot + b"me") if n % every == 1 else line
        for n, line in enumerate(lines)
    )


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CHINESE = [(f"今天下雨了{number}我们留在家里", "好坏"[number % 2]) for number in range(40)]
MIXED = b"\n".join(
    line.encode("gb18030" if n % 4 == 1 else "utf-8")
    for n, line in enumerate(["text,label", *map(",".join, CHINESE)])
)
ONE_CLASS = [(text, "a") for text, _ in ROWS[:3]]
FLOATS = [(text, f"{number * 0.37:.3f}") for number, (text, _) in enumerate(ROWS)]
NO_LABEL = [(text, f"The wind {number} went by {number * 3}.") for number, (text, _) in enumerate(ROWS)]
RAGGED = [(*row, "more") if number % 4 == 0 else row for number, row in enumerate(ROWS)]
MOSTLY_RAGGED = [(*row, "more") if number % 4 else row for number, row in enumerate(ROWS)]
UNCLOSED = [
    (f'"{text}', label) if number == 7 else (text, label) for number, (text, label) in enumerate(ROWS)
]
UNLABELLED = [(text, label if number % 4 else "") for number, (text, label) in enumerate(ROWS)]
ARRAY = json.dumps([{"text": text, "label": label} for text, label in ROWS]).encode()
WIDE = table([["x"] * 100_000] * 2, ",".join(f"c{number}" for number in range(100_000)))

CASES = [
    Case(
        "an empty table", "empty.csv", b"", 65, ("nothing is in there (0 bytes)", "expected at least one row")
    ),
    Case("an empty text", "empty.txt", b"", 65, ("nothing is in there (0 bytes)",), "pretrain"),
    Case(
        "--text on plain text",
        "a.txt",
        b"There are no columns in this text.\n",
        2,
        ("a.txt is plain text and has no columns", "expected a table for --text note"),
        "pretrain",
        options=("--text", "note"),
    ),
    Case(
        "a probe and one document",
        "a.txt",
        b"There is nothing to hold out of one document.\n",
        65,
        ("none was held out", "give more documents, or leave --probe out"),
        "pretrain",
        options=("--probe", "train.csv"),
    ),
    Case("a header and no row", "header.csv", b"text,label\n", 65, ("not one row, at most a header",)),
    Case("one row", "one.csv", table(ROWS[:1]), 65, ("holds 1 label(s)", "needs at least two")),
    Case("one label", "one_label.csv", table(ONE_CLASS), 65, ("holds 1 label(s) in column 'label': a",)),
    Case("no column like a label", "none.csv", table(NO_LABEL, "text,other"), 65, ("name one with --label",)),
    Case(
        "a text column that is not there",
        "a.csv",
        table(),
        65,
        ('did you mean "text"?',),
        options=("--text", "txt"),
    ),
    Case(
        "a label column that is not there",
        "a.csv",
        table(),
        65,
        ('did you mean "label"?',),
        options=("--label", "lable"),
    ),
    Case(
        "one column for both",
        "a.csv",
        table(),
        65,
        ("cannot be text and label at once",),
        options=("--text", "label", "--label", "label"),
    ),
    Case(
        "two columns of one name",
        "twice.csv",
        table([(a, a, b) for a, b in ROWS], "text,text,label"),
        0,
        ("text: text, text_2",),
    ),
    Case(
        "some rows too long",
        "ragged.csv",
        table(RAGGED),
        0,
        ("10 of 40 rows left out: 10 wrong number of cells", "row 1"),
    ),
    Case(
        "most rows too long",
        "ragged.csv",
        table(MOSTLY_RAGGED),
        65,
        ("30 of 40 rows cannot be used", "headwater inspect"),
    ),
    Case("NUL bytes in some rows", "nul.csv", spoilt(b"\0"), 0, ("8 of 40 rows left out: 8 NUL characters",)),
    Case(
        "invalid UTF-8 in some rows",
        "bytes.csv",
        spoilt(b"\xff\xfe"),
        0,
        ("8 of 40 rows left out: 8 undecodable bytes",),
    ),
    Case("noise named .csv", "noise.csv", bytes(range(128, 256)) * 40, 65, ("undecodable bytes",)),
    Case(
        "noise named .txt",
        "noise.txt",
        bytes(range(128, 256)) * 40,
        65,
        ("undecodable bytes", "headwater inspect"),
        "pretrain",
    ),
    Case("zeros named .txt", "zeros.txt", bytes(5000), 65, ("NUL characters",), "pretrain"),
    Case("UTF-16", "utf16.csv", table(CHINESE).decode().encode("utf-16"), 0, ("40 rows with 2 labels",)),
    Case("GB18030", "gb.csv", table(CHINESE).decode().encode("gb18030"), 0, ("40 rows with 2 labels",)),
    Case(
        "UTF-8 and GB18030 in one file",
        "mixed.csv",
        MIXED,
        0,
        ("10 of 40 rows left out: 10 undecodable bytes",),
    ),
    Case(
        "a byte order mark and CR LF",
        "windows.csv",
        b"\xef\xbb\xbf" + table().replace(b"\n", b"\r\n"),
        0,
        ("column 'label'",),
    ),
    Case(
        "lone surrogates in JSON",
        "surrogates.jsonl",
        json_lines([(t + "\ud800" * (n % 5 == 0), a) for n, (t, a) in enumerate(ROWS)]),
        0,
        ("8 of 40 rows left out: 8 lone surrogates",),
    ),
    Case(
        "broken JSON lines",
        "broken.jsonl",
        json_lines(ROWS, cut=1),
        0,
        ("8 of 40 rows left out: 8 invalid JSON",),
    ),
    Case("a JSON array cut short", "cut.json", ARRAY[:-200], 0, ("the rest of the array is not read",)),
    Case("a quote that never closes", "quote.csv", table(UNCLOSED), 0, ("40 rows",)),
    Case("100,000 columns", "wide.csv", WIDE, 65, ("no column reads as text", "name one with --text")),
    Case(
        "a label column of floats",
        "floats.csv",
        table(FLOATS),
        65,
        ("40 distinct numbers", "a quantity and not a class"),
    ),
    Case(
        "some empty labels",
        "unlabelled.csv",
        table(UNLABELLED),
        0,
        ("10 of 40 rows left out: 10 empty label",),
    ),
    Case(
        "only empty labels",
        "no_labels.csv",
        table([(text, "") for text, _ in ROWS]),
        65,
        ("no usable row; 40 of 40 rows left out: 40 empty label",),
    ),
    Case(
        "a zip with members outside itself",
        "a.zip",
        zipped({"../evil.csv": table(), "good.csv": table()}),
        0,
        ("1 archive member outside the archive",),
    ),
    Case(
        "a zip with nothing else",
        "b.zip",
        zipped({"../evil.csv": table()}),
        66,
        ("archive member outside the archive", "expected .arrow, .bio, .conll, .csv"),
    ),
    Case(
        "a zip that unpacks a thousandfold",
        "bomb.zip",
        zipped({"a.txt": bytes(1 << 27)}),
        66,
        ("implausible size",),
        "pretrain",
    ),
    Case(
        "a gzip that unpacks a thousandfold",
        "bomb.txt.gz",
        gzip.compress(b"a" * (1 << 27)),
        0,
        ("it unpacks to more than 250 times its size",),
        "pretrain",
    ),
    Case("a text named .zip", "text.zip", b"hello", 66, ("it has no zip directory",), "pretrain"),
    Case("a text named .parquet", "text.parquet", b"hello", 65, ("is damaged or not what its name says",)),
]


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_a_file_is_used_or_refused_in_words(case: Case, told: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / case.file).write_bytes(case.content)
    scratch = ["scratch"] if case.verb == "finetune" else []
    out = tmp_path / "run"
    given = (*scratch, tmp_path / case.file, "--out", out, *SMALL, *case.options)
    seen = told(case.title, case.verb, *given, about=case.words[0])
    assert seen.code == case.code, seen.err
    for words in case.words:
        assert words in seen.err
    assert out.exists() == (case.code == 0), "a run that failed on its inputs leaves nothing behind"


def test_inspect_never_refuses_a_file_that_is_there(told: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "noise.csv").write_bytes(bytes(range(128, 256)) * 40)
    seen = told("inspecting noise", "inspect", tmp_path / "noise.csv", about="undecodable bytes (first")
    assert seen.code == 0
    assert "undecodable bytes" in seen.out


@pytest.mark.parametrize("verb", ["inspect", "pretrain"])
def test_a_path_that_is_not_there_is_named(verb: str, told: Callable[..., Any], tmp_path: Path) -> None:
    out = () if verb == "inspect" else ("--out", tmp_path / "run")
    seen = told("a file that is not there", verb, tmp_path / "missing.csv", *out)
    assert seen.code == 66
    assert f"there is no file or folder {tmp_path / 'missing.csv'}; check the path" in seen.err


def test_a_folder_without_data_says_what_it_passed_over(told: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "program.exe").write_bytes(b"x")
    seen = told("a folder without data", "pretrain", tmp_path / "data", "--out", tmp_path / "run")
    assert seen.code == 66
    assert "passed over: 1 .exe; expected .arrow, .bio, .conll, .csv" in seen.err


def test_a_file_without_permission_is_named(
    told: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.csv").write_bytes(table())
    opened = Path.open

    def refused(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == "secret.csv":  # the tests may run as root, whom no permission stops
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refused)
    seen = told("a file that may not be read", "pretrain", tmp_path / "secret.csv", "--out", tmp_path / "run")
    assert seen.code == 66
    assert "Permission denied" in seen.err


def test_validation_rows_of_the_training_file_are_remarked(told: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(table())
    files = ("scratch", tmp_path / "a.csv", "--validation", tmp_path / "a.csv")
    said = "40 of 40 validation rows stand in the training file too"
    seen = told(
        "validation equal to training", "finetune", *files, "--out", tmp_path / "run", *SMALL, about=said
    )
    assert seen.code == 0
    assert said in seen.err


def test_a_few_texts_of_much_weight_are_remarked(
    told: Callable[..., Any], workplace: Path, tmp_path: Path
) -> None:
    (few := tmp_path / "few.txt").write_text(
        "\n".join(f"{7 * n * n} {n % 5} {n * 31}" for n in range(20, 29)) + "\n"
    )
    seen = told(
        "nine texts of half the weight",
        *(
            "pretrain",
            workplace / "notes.jsonl",
            few,
            "--out",
            tmp_path / "run",
            "--size",
            "nano",
            "--steps",
            "10",
        ),
        *("--weights", "0.5,0.5", "--set", "training.length=32", "--set", "machine.threads=1"),
        about="mixed by weight",
    )
    assert seen.code == 0
    assert "few.txt (9 documents, each read" in seen.err
    assert "learnt by heart" in seen.err


@pytest.mark.parametrize(
    ("weights", "code", "words"),
    [
        ("half,half", 2, "expected numbers with commas between them"),
        ("0.5", 2, "2 paths but 1 weights"),
        ("1,-1", 78, "data.weights holds -1.0; expected a number above 0"),
    ],
)
def test_weights_that_are_none_are_refused(
    weights: str, code: int, words: str, told: Callable[..., Any], workplace: Path, tmp_path: Path
) -> None:
    (few := tmp_path / "few.txt").write_text("a text\nanother one\n")
    paths = (workplace / "notes.jsonl", few)
    seen = told(f"--weights {weights}", "pretrain", *paths, "--weights", weights, "--out", tmp_path / "run")
    assert seen.code == code
    assert words in seen.err
    assert not (tmp_path / "run").exists()


def test_validation_rows_of_another_task_are_refused(told: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(table())
    (tmp_path / "other.csv").write_bytes(table([(text, label + "!") for text, label in ROWS]))
    files = ("scratch", tmp_path / "a.csv", "--validation", tmp_path / "other.csv")
    seen = told("validation of another task", "finetune", *files, "--out", tmp_path / "run", *SMALL)
    assert seen.code == 65
    assert "carries a label of the training file (a, b); found a!, b!" in seen.err


def test_a_label_never_seen_in_training_counts_as_wrong_and_is_said(
    told: Callable[..., Any], finetuned: "hw.Run", workplace: Path, tmp_path: Path
) -> None:
    known = (workplace / "test.csv").read_text(encoding="utf-8")
    (tmp_path / "test.csv").write_text(known + '"a late bus and a lost ticket",traffic\n', encoding="utf-8")
    seen = told("a label never seen in training", "evaluate", finetuned.path, tmp_path / "test.csv")
    assert seen.code == 0
    assert "1 of 61 rows carry labels" in seen.err
    assert "traffic" in seen.err


def test_a_test_of_another_task_is_refused(
    told: Callable[..., Any], finetuned: "hw.Run", tmp_path: Path
) -> None:
    (tmp_path / "other.csv").write_bytes(table())
    seen = told("a test of another task", "evaluate", finetuned.path, tmp_path / "other.csv")
    assert seen.code == 65
    assert "found a, b; give a test file of the same task" in seen.err


def test_every_case_stands_in_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "hostile-inputs.md").read_text(encoding="utf-8")
    absent = [case.title for case in CASES if f"| {case.title} |" not in page]
    assert not absent, "make the table again: python tests/end_to_end/hostile_table.py"
