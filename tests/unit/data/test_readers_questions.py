"""Questions in the formats that people have them in: the same rows from each, and nothing lost silently."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from headwater.data import LabelledSet, find_sources, inspect, read_labelled
from headwater.data.readers.questions import LOST, MISPLACED, NESTED, UNPLACED, Answer, answers_of
from headwater.data.readers.sources import open_table
from headwater.errors import BadDataError

CONTEXT = " Anna went to Lima in 1998. Bruno stayed in Accra, and Anna came back."
QUESTIONS: list[tuple[str, list[tuple[str, int]]]] = [
    ("Who went to Lima?", [("Anna", 1)]),
    ("When did Anna go?", [("1998", 22), ("in 1998", 19)]),
    ("Who came back?", [("Anna", 55)]),
    ("Who went to Hanoi?", []),
]
ROWS = [
    ((question, CONTEXT), tuple(Answer(*answer) for answer in answers)) for question, answers in QUESTIONS
]


def read(path: Path, **more: Any) -> LabelledSet:
    return read_labelled(path, labels="answers", max_bad=1.0, **more)


def found(rows: LabelledSet) -> list[tuple[tuple[str, ...], tuple[Answer, ...]]]:
    return [(example.texts, answers_of(example.label or "")) for example in rows.examples]


def json_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def flat(start: str) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "context": CONTEXT,
            "question": question,
            "answers": [{"text": text, start: place} for text, place in answers],
        }
        for number, (question, answers) in enumerate(QUESTIONS)
    ]


def as_lists() -> list[dict[str, Any]]:
    return [
        {
            "question": question,
            "context": CONTEXT,
            "answers": {"text": [text for text, _ in answers], "answer_start": [at for _, at in answers]},
        }
        for question, answers in QUESTIONS
    ]


def nested(**more: Any) -> dict[str, Any]:
    asked = [
        {"id": row["id"], "question": row["question"], "answers": row["answers"]}
        for row in flat("answer_start")
    ]
    asked[-1] |= {"is_impossible": True, "plausible_answers": [{"text": "Anna", "answer_start": 1}]}
    paragraphs = [{"context": CONTEXT, "qas": asked[:2]}, {"qas": asked[2:], "context": CONTEXT}]
    return {"version": "v2.0", **more, "data": [{"title": "Travels", "paragraphs": paragraphs}]}


def as_csv(path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["question", "context", "answers"])
        writer.writerows((row["question"], row["context"], json.dumps(row["answers"])) for row in as_lists())
    return path


def as_parquet(path: Path) -> Path:
    pyarrow.parquet.write_table(pa.Table.from_pylist(as_lists()), path)
    return path


FORMS: dict[str, Callable[[Path], Path]] = {
    "start": lambda folder: json_lines(folder / "a.jsonl", flat("start")),
    "answer_start": lambda folder: json_lines(folder / "a.jsonl", flat("answer_start")),
    "lists": lambda folder: json_lines(folder / "a.jsonl", as_lists()),
    "csv": lambda folder: as_csv(folder / "a.csv"),
    "parquet": lambda folder: as_parquet(folder / "a.parquet"),
    "squad": lambda folder: json_lines(folder / "a.json", [nested()]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_the_same_questions_as_they_are_written(tmp_path: Path, form: str):
    rows = read(FORMS[form](tmp_path))
    assert found(rows) == ROWS  # the blank before the context too: answers count characters
    assert (rows.text_columns, rows.label_column) == (("question", "context"), "answers")
    assert rows.problems.total == 0
    assert set(rows.problems.notes) == ({NESTED} if form == "squad" else set())


def test_a_question_that_is_said_to_be_impossible_has_no_answer(tmp_path: Path):
    rows = [{**row, "is_impossible": number == 0} for number, row in enumerate(flat("start"))]
    rows[3]["answers"] = None
    rows[3]["is_impossible"] = True
    answers = [answers for _, answers in found(read(json_lines(tmp_path / "a.jsonl", rows)))]
    assert [len(part) for part in answers] == [0, 2, 1, 0]


def test_an_answer_at_a_wrong_place_is_taken_where_it_first_stands(tmp_path: Path):
    rows = flat("start")
    rows[0]["answers"][0]["start"] = 3
    rows[2]["answers"][0]["start"] = -1
    read_rows = read(json_lines(tmp_path / "a.jsonl", rows))
    assert [answers[0] for _, answers in found(read_rows)[:3:2]] == [Answer("Anna", 1), Answer("Anna", 1)]
    assert read_rows.problems.notes == {MISPLACED: 2}
    assert read_rows.problems.total == 0


def test_an_answer_as_plain_text_is_found_in_the_context(tmp_path: Path):
    rows = [{"question": "Where did Bruno stay?", "context": CONTEXT, "answer": "Accra"}]
    read_rows = read(json_lines(tmp_path / "a.jsonl", rows))
    assert found(read_rows)[0][1] == (Answer("Accra", CONTEXT.index("Accra")),)
    assert read_rows.problems.notes == {UNPLACED: 1}


def test_a_row_none_of_whose_answers_stands_in_its_context_is_left_out_and_named(tmp_path: Path):
    rows = flat("start")
    rows[0]["answers"] = [{"text": "Elif", "start": 0}]
    rows[1]["answers"].append({"text": "1999", "start": 22})
    read_rows = read(json_lines(tmp_path / "a.jsonl", rows))
    assert found(read_rows) == ROWS[1:]
    assert [(problem.row, problem.reason) for problem in read_rows.problems.first()] == [
        (1, "answer that stands nowhere in its context")
    ]
    assert read_rows.problems.notes == {LOST: 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": "  "}, "empty question"),
        ({"context": ""}, "empty context"),
        ({"answers": None}, "empty label"),
        ({"answers": [{"start": 3}]}, "malformed answers"),
        ({"answers": [{"text": "Anna", "start": "1"}]}, "malformed answers"),
        ({"answers": {"text": ["Anna", "1998"], "answer_start": [1]}}, "malformed answers"),
        ({"answers": '[{"text": "Anna"'}, "malformed answers"),
        ({"answers": [None]}, "malformed answers"),
        ({"context": "Anna \ud800 went"}, "lone surrogates"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_reason(
    tmp_path: Path, change: dict[str, Any], reason: str
):
    path = tmp_path / "a.jsonl"
    rows = [flat("start")[0] | change, *flat("start")[1:]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    read_rows = read(path)
    assert found(read_rows) == ROWS[1:]
    assert [(problem.row, problem.reason) for problem in read_rows.problems.first()] == [(1, reason)]


def test_columns_of_other_names_are_told(tmp_path: Path):
    rows = [
        {"frage": row["question"], "seite": row["context"], "stelle": row["answers"]} for row in flat("start")
    ]
    path = json_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(BadDataError, match=r"--text QUESTION,CONTEXT --label ANSWERS"):
        read(path)
    assert found(read(path, text="frage,seite", label="stelle")) == ROWS
    with pytest.raises(BadDataError, match="these are named so: frage, stelle"):
        read(path, text="frage", label="stelle")


def test_chinese_names_are_guessed_too(tmp_path: Path):
    row = {"问题": "谁去了利马？", "文章": "安娜去了利马。", "答案": [{"text": "安娜", "start": 0}]}
    rows = read(json_lines(tmp_path / "a.jsonl", [row]))
    assert (rows.text_columns, rows.label_column) == (("问题", "文章"), "答案")


def test_questions_to_be_answered_need_no_answers(tmp_path: Path):
    rows = [{"question": row["question"], "context": row["context"]} for row in flat("start")]
    read_rows = read(json_lines(tmp_path / "a.jsonl", rows), need_labels=False)
    assert [(example.texts, example.label) for example in read_rows.examples] == [
        (texts, None) for texts, _ in ROWS
    ]


@pytest.mark.parametrize("indent", [None, 1], ids=["one line", "indented"])
@pytest.mark.parametrize("head", [{}, {"n": 3, "by": "a, b"}], ids=["version", "more"])
def test_squads_json_is_known_by_its_content_and_inspection_says_so(
    tmp_path: Path, indent: int | None, head: dict[str, Any]
):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(nested(**head), indent=indent), encoding="utf-8")
    assert found(read(path)) == ROWS
    assert "SQuAD's articles, paragraphs and questions" in str(inspect(path))


def test_a_long_squad_file_is_read_article_by_article(tmp_path: Path):
    value = nested()
    value["data"] = value["data"] * 400
    path = json_lines(tmp_path / "a.json", [value])
    assert path.stat().st_size > 3 * 65_536
    assert found(read(path)) == ROWS * 400


def test_broken_articles_are_named_and_the_rest_is_read(tmp_path: Path):
    value = nested()
    paragraphs: list[Any] = [{"context": CONTEXT}, {"context": CONTEXT, "qas": ["Who?"]}, 3]
    value["data"] += [{"title": "empty"}, "no article", {"paragraphs": paragraphs}]
    rows = read(json_lines(tmp_path / "a.json", [value]))
    assert found(rows) == ROWS
    assert rows.problems.by_reason() == {
        "no list of paragraphs": 1,
        "not a JSON object": 1,
        "no list of qas": 1,
        "not a JSON object in qas": 1,
        "not a JSON object in paragraphs": 1,
    }
    assert rows.problems.rows == len(ROWS) + 5


def test_a_squad_file_cut_short_loses_its_last_article_and_says_so(tmp_path: Path):
    value = nested()
    value["data"] = value["data"] * 3
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value)[:-40], encoding="utf-8")
    rows = read(path)
    assert found(rows) == ROWS * 2
    assert rows.problems.by_reason() == {"invalid JSON, the rest of the array is not read": 1}


def test_rows_of_objects_that_hold_data_stay_rows_of_objects(tmp_path: Path):
    rows = [{"data": ["a", "b"], "text": "words and words"}, {"data": [], "text": "and more words"}]
    table = open_table(find_sources(json_lines(tmp_path / "a.json", rows))[0])
    assert table.columns == ("data", "text")
