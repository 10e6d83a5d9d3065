"""Tables, questions, pairs and histories that are not what their task needs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headwater as hw


def table(header: str, row: Callable[[int], str]) -> str:
    """A table of forty rows."""
    return f"{header}\n" + "".join(f"{row(number)}\n" for number in range(40))


def questions(answer: Callable[[int], str]) -> str:
    """Forty questions in SQuAD's shape."""
    paragraphs = [
        {
            "context": f"Anna sang {number}.",
            "qas": [
                {
                    "id": str(number),
                    "question": "Who?",
                    "answers": [{"text": answer(number), "answer_start": 0}],
                }
            ],
        }
        for number in range(40)
    ]
    return json.dumps({"data": [{"paragraphs": paragraphs}]})


def german(number: int) -> str:
    """Every eighth translation is missing."""
    return f"ein kleiner Hund läuft über das nasse Gras {number}" if number % 8 else ""


WORDS = table("text,label", lambda n: f"soup {n},{'ab'[n % 2]}")
SETS = table("text\tlabels", lambda n: f"rain {n}\twet")
CASES: dict[str, tuple[str, str, str, int, str]] = {
    "a task that does not exist": (
        "clasification",
        "a.csv",
        WORDS,
        78,
        "did you mean 'classification'?",
    ),
    "words where numbers belong": (
        "regression",
        "words.csv",
        WORDS,
        65,
        "40 label is not a number",
    ),
    "some words among the numbers": (
        "regression",
        "scores.csv",
        table("text,score", lambda n: f"soup {n},{'many' if n % 5 == 0 else n / 4}"),
        0,
        "8 of 40 rows left out: 8 label is not a number",
    ),
    "pairs with one text": (
        "pair_classification",
        "one.csv",
        WORDS,
        65,
        "a task on pairs of texts reads two columns, found 1 (text)",
    ),
    "several labels, and only one": (
        "multi_label_classification",
        "sets.tsv",
        SETS,
        65,
        "holds 1 label(s): wet; expected several a cell",
    ),
    "some lines without a tag": (
        "tagging",
        "names.bio",
        "Anna\tB-PER\nsang\tO\n\n" * 20 + "Bert\nsang\tO\n\n",
        0,
        "1 of 21 rows left out",
    ),
    "tags in BIOES": (
        "tagging",
        "bioes.bio",
        "Anna\tS-PER\nsaw\tO\nNew\tB-LOC\nYork\tE-LOC\n\n" * 20,
        0,
        "tags read as BIOES; spans: LOC 20, PER 20",
    ),
    "tags that overlap": (
        "tagging",
        "nested.bio",
        "Anna\tB-PER\nsang\tO\n\n" * 20 + "Paris\tB-PER|B-LOC\nsang\tO\n\n",
        0,
        "1 of 21 rows left out: 1 overlapping tags",
    ),
    "tags before their words": (
        "tagging",
        "turned.bio",
        "".join(f"B-PER\tAnna{n}\nO\tsang\n\n" for n in range(20)),
        0,
        "1 file(s) with the tag before its word",
    ),
    "texts where words with tags belong": (
        "tagging",
        "texts.csv",
        WORDS,
        65,
        'there is no column "tokens"',
    ),
    "questions cut short": (
        "question_answering",
        "cut.json",
        questions(lambda _: "Anna")[:-200],
        65,
        "1 invalid JSON, the rest of the array is not read",
    ),
    "answers that stand nowhere": (
        "question_answering",
        "elsewhere.json",
        questions(lambda n: "Bert" if n % 4 == 0 else "Anna"),
        0,
        "10 of 40 rows left out",
    ),
    "no question at all": (
        "question_answering",
        "none.json",
        '{"data": []}',
        65,
        "expected a question, its context and its answers",
    ),
    "some translations missing": (
        "translation",
        "half.tsv",
        table("en\tde", lambda n: f"a small dog runs over the wet grass {n}\t{german(n)}"),
        0,
        "5 of 40 rows left out",
    ),
    "some passages missing": (
        "retrieval",
        "passages.tsv",
        table("query\tpassage", lambda n: f"who sang {n}\t{'' if n % 4 == 0 else f'Anna sang {n}'}"),
        0,
        "10 of 40 rows left out",
    ),
    "columns that are not user, item and time": (
        "recommendation",
        "events.csv",
        table("person,film,when", lambda n: f"u{n % 5},f{n % 7},{n}"),
        65,
        "name three: --text USER,ITEM,TIME",
    ),
    "times that are none": (
        "recommendation",
        "ratings.csv",
        table("user,item,time", lambda n: f"u{n % 5},f{n % 7},{'soon' if n % 5 == 1 else n}"),
        0,
        "8 of 40 rows left out",
    ),
    "users of one event": (
        "recommendation",
        "visitors.csv",
        table("user,item,time", lambda n: f"u{n},f{n % 7},{n}"),
        65,
        "every user has one event, so there is nothing to foretell the last from",
    ),
}


@pytest.mark.parametrize("title", CASES)
def test_a_task_says_what_it_cannot_use(title: str, told: Callable[..., Any], tmp_path: Path) -> None:
    task, name, content, code, words = CASES[title]
    (tmp_path / name).write_text(content, encoding="utf-8")
    quick = ("--size", "nano", "--steps", "1", "--set", "machine.threads=1", "--set", "training.length=32")
    files = ("finetune", "scratch", tmp_path / name, "--task", task, "--out", tmp_path / "run")
    seen = told(title, *files, *quick, about=words)
    assert seen.code == code, seen.err
    assert words in seen.err
    assert (tmp_path / "run").exists() == (code == 0)


def test_parallel_files_of_different_length_are_told_apart(told: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "train.en").write_text("one\ntwo\nthree\n", encoding="utf-8")
    (tmp_path / "train.de").write_text("eins\nzwei\n", encoding="utf-8")
    files = ("finetune", "scratch", tmp_path / "train.en", "--task", "translation", "--out", tmp_path / "run")
    seen = told("parallel files of 3 and 2 lines", *files)
    assert seen.code == 65
    assert "have not as many lines: en 3, de 2" in seen.err


@pytest.mark.parametrize("verb", ["generate", "translate"])
def test_a_model_that_cannot_write_says_so(
    verb: str, told: Callable[..., Any], pretrained: "hw.Run", workplace: Path
) -> None:
    rows = ("--prompt", "once") if verb == "generate" else (workplace / "notes.jsonl",)
    seen = told(f"an encoder asked to {verb}", verb, pretrained.path, *rows)
    assert seen.code == 2
    assert seen.err.startswith(
        "headwater: a model made for masked_tokens cannot write; expected one made with"
    )
