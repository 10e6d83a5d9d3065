"""Answers found in texts: learnt from questions with places, judged as SQuAD does; nothing where nothing answers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import headwater as hw
from headwater.errors import UsageError
from headwater.evaluation.metrics.answers import AnswerReport
from tests.end_to_end.conftest import Seen

PEOPLE = ["Anna", "Bruno", "Carla", "Dmitri", "Elif"]
PLACES = ["Paris", "Lima", "Accra", "Hanoi", "New York"]
BLANKS = " \n "
ASKED = ["Who went away?", "To which place?", "In what year?", "For how much money?"]
transformers.utils.logging.disable_progress_bar()


def questions(count: int, seed: int, *, kinds: int = 4) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        who, where, when = str(rng.choice(PEOPLE)), str(rng.choice(PLACES)), str(rng.integers(1900, 2000))
        context = f"{rng.choice(['', 'It is known that ', BLANKS])}{who} went to {where} in {when}."
        kind = int(rng.integers(kinds))
        texts = [[who], [where], [when, f"in {when}"], []][kind]
        answers = [{"text": text, "start": context.index(text)} for text in texts]
        rows.append({"question": ASKED[kind], "context": context, "answers": answers})
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def place(workplace: Path) -> Path:
    folder = workplace / "questions"
    folder.mkdir()
    write(folder / "train.jsonl", questions(300, 1))
    write(folder / "valid.jsonl", questions(40, 2))
    write(folder / "test.jsonl", questions(80, 3))
    return folder


@pytest.fixture(scope="module")
def answerer(place: Path, pretrained: hw.Run) -> hw.Run:
    return hw.finetune(
        pretrained,
        place / "train.jsonl",
        task="question_answering",
        out=place / "answerer",
        validation=place / "valid.jsonl",
        steps=120,
        assign=[
            "machine.threads=1",  # the same sums however busy the machine is
            "training.learning_rate=0.002",
            "training.micro_batches=1",
        ],
        quiet=True,
    )


def test_answers_are_found_and_judged(answerer: hw.Run, place: Path) -> None:
    report = answerer.evaluate(place / "test.jsonl")
    assert isinstance(report, AnswerReport)
    assert report.all.f1.value > 90
    assert report.unanswerable is not None
    assert report.unanswerable.exact_match.value > 80
    assert report.sentence.f1.value < 60
    assert answerer.summary.evaluation["f1"] > 90
    assert answerer.summary.evaluation["loss"] < 1


def test_validation_says_when_nothing_is_the_answer(pretrained: hw.Run, place: Path) -> None:
    run = hw.finetune(
        pretrained,
        place / "train.jsonl",
        task="question_answering",
        out=place / "hasty",
        validation=place / "valid.jsonl",
        steps=12,  # too few to be good: the threshold has something to do
        quiet=True,
    )
    card = json.loads((run.path / "model" / "headwater.json").read_text(encoding="utf-8"))
    assert card["threshold"] != 0.0
    found = run.evaluate(place / "valid.jsonl")
    assert isinstance(found, AnswerReport)
    assert found.all.f1.value > run.summary.evaluation["f1"]  # judged at 0 while training


def test_an_answer_comes_with_its_place_in_the_users_own_text(answerer: hw.Run) -> None:
    context = f"{BLANKS}Carla went to New York in 1950."
    found = answerer.predict([(question, context) for question in ASKED])
    assert [answer["answer"] for answer in found] == ["Carla", "New York", "1950", None]
    for answer in found[:3]:
        assert context[answer["start"] : answer["end"]] == answer["answer"]
        assert 0 < answer["probability"] <= 1
        assert answer["score"] > 0
    assert found[3]["start"] is found[3]["end"] is None
    assert found[3]["score"] <= 0


def test_a_long_context_is_read_in_windows(answerer: hw.Run) -> None:
    filler = "Nothing was said of it and nobody asked. " * 40
    context = f"{filler}It is known that Elif went to Accra in 1931. {filler}"
    (answer,) = answerer.predict([("To which place?", context)])
    assert (answer["answer"], answer["start"]) == ("Accra", context.index("Accra"))


@pytest.mark.slow
def test_a_context_of_a_megabyte_is_answered(answerer: hw.Run) -> None:
    context = "Nothing was said of it.\n" * 42_000 + "Elif went to Accra in 1931."
    (answer,) = answerer.predict([("Who went away?", context)])
    assert len(context) > 1_000_000
    assert answer["answer"] == context[answer["start"] : answer["end"]]


def test_any_characters_come_back_whole(answerer: hw.Run) -> None:
    context = "👩‍👩‍👧 安娜 went to 利马\u3000in 1950。"
    for question in ASKED:
        (answer,) = answerer.predict([(question, context)])
        if answer["answer"] is not None:
            assert context[answer["start"] : answer["end"]] == answer["answer"] != ""


def test_standard_input_is_answered_line_by_line(answerer: hw.Run, told: Callable[..., Seen]) -> None:
    context = "  Anna went to Lima in 1907."
    lines = [
        json.dumps({"question": ASKED[0], "context": context}),
        json.dumps({"question": " ", "context": context}),
        json.dumps({"question": ASKED[0], "context": None}),
        json.dumps({"text": "Anna went"}),
        "Who went away?",
        json.dumps({"context": context, "question": ASKED[2]}),
    ]
    seen = told("", "predict", answerer.path, "-", "--quiet", stdin="\n".join(lines).encode())
    found = [json.loads(line) for line in seen.out.splitlines()]
    assert [answer.get("answer") for answer in found] == ["Anna", None, None, None, None, "1907"]
    assert [context[a["start"] : a["end"]] for a in (found[0], found[5])] == ["Anna", "1907"]
    assert [answer.get("error") for answer in found[1:5]] == [
        "empty question",
        "empty context",
        "no text column (expected question, context; found text)",
        "not a question and its context",
    ]
    assert seen.code == 65


def test_a_file_is_answered_row_by_row(answerer: hw.Run, place: Path, told: Callable[..., Seen]) -> None:
    rows = questions(5, 9)
    rows[0]["context"] = " " + rows[0]["context"]
    path = write(
        place / "asked.jsonl", [{"question": row["question"], "context": row["context"]} for row in rows]
    )
    seen = told("", "predict", answerer.path, path, "--quiet")
    found = [json.loads(line) for line in seen.out.splitlines()]
    assert len(found) == 5
    for row, answer in zip(rows, found, strict=True):
        assert answer["answer"] is None or row["context"][answer["start"] : answer["end"]] == answer["answer"]


def test_evaluation_gives_the_usual_names(answerer: hw.Run, place: Path, told: Callable[..., Seen]) -> None:
    rows = [{**row, "is_impossible": not row["answers"]} for row in questions(20, 5)]
    seen = told("", "evaluate", answerer.path, write(place / "more.jsonl", rows), "--json", "--quiet")
    found = json.loads(seen.out)
    for name in ("exact_match", "f1"):
        assert set(found[name]) == {"value", "low", "high"}
    assert found["rows"] == found["answerable"]["rows"] + found["unanswerable"]["rows"] == 20


class Published:
    """A model folder in transformers: its windows, its logits, and every span tried one by one."""

    def __init__(self, folder: Path) -> None:
        self.model, account = transformers.AutoModelForQuestionAnswering.from_pretrained(
            folder, output_loading_info=True
        )
        assert type(self.model) is transformers.ModernBertForQuestionAnswering
        assert not account["missing_keys"] and not account["unexpected_keys"]
        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)

    @torch.no_grad()
    def answer(self, question: str, context: str, *, length: int) -> tuple[float, str]:
        asked = len(self.tokenizer(question, add_special_tokens=False)["input_ids"])
        read = self.tokenizer(
            question,
            context,
            truncation="only_second",
            max_length=length,
            stride=(length - 3 - asked) // 2,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=True,
            return_tensors="pt",
        )
        output = self.model.eval()(input_ids=read["input_ids"], attention_mask=read["attention_mask"])
        best = (-np.inf, "")
        for row, (starts, ends) in enumerate(zip(output.start_logits, output.end_logits, strict=True)):
            nothing = float(starts[0] + ends[0])
            places = [place for place, part in enumerate(read.sequence_ids(row)) if part == 1]
            for start in places:
                for end in range(start, min(start + 64, places[-1] + 1)):
                    first, last = read["offset_mapping"][row][start][0], read["offset_mapping"][row][end][1]
                    score = float(starts[start] + ends[end]) - nothing
                    best = max(best, (score, context[first:last].strip()))
        return best


def test_transformers_finds_the_same_answers_in_the_same_windows(answerer: hw.Run) -> None:
    theirs = Published(answerer.path / "model")
    facts = [row["context"] for row in questions(24, 12)]
    asked = [
        (ASKED[number % 4], "  " + " \n".join(facts[number : number + 1 + number])) for number in range(12)
    ]
    for (question, context), answer in zip(asked, answerer.predict(asked), strict=True):
        score, text = theirs.answer(question, context, length=64)
        assert answer["score"] == pytest.approx(score, abs=1e-3)
        assert answer["answer"] == (text if score > 0 else None)


def test_a_model_that_never_saw_nothing_always_answers(
    place: Path, pretrained: hw.Run, told: Callable[..., Seen]
) -> None:
    run = hw.finetune(
        pretrained,
        write(place / "answered.jsonl", questions(60, 7, kinds=3)),
        task="question_answering",
        out=place / "always",
        steps=2,
        quiet=True,
    )
    (answer,) = run.predict([("For how much money?", "Anna went to Lima in 1950.")])
    assert answer["answer"] is not None
    seen = told("", "evaluate", run.path, place / "test.jsonl")
    assert "questions have no answer, and the model has learnt to answer all" in seen.err
    assert "shares the most words" in seen.out


def test_squads_own_file_is_learnt_from_and_said(
    place: Path, pretrained: hw.Run, told: Callable[..., Seen]
) -> None:
    path = place / "squad.json"
    paragraphs = [
        {
            "context": row["context"],
            "qas": [
                {
                    "question": row["question"],
                    "id": str(number),
                    "is_impossible": not row["answers"],
                    "answers": [
                        # every fifth one character off
                        {"text": answer["text"], "answer_start": answer["start"] + (number % 5 == 0)}
                        for answer in row["answers"][:1]
                    ],
                }
            ],
        }
        for number, row in enumerate(questions(40, 8))
    ]
    paragraphs[3]["qas"][0] |= {"is_impossible": False, "answers": [{"text": "Oslo", "answer_start": 0}]}
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}))
    out = place / "from_squad"
    seen = told(
        "", "finetune", pretrained.path, path, "--task", "question_answering", "--steps", "2", "--out", out
    )
    assert seen.code == 0
    assert "39 questions on" in seen.err
    assert "39 questions read from SQuAD's articles and paragraphs" in seen.err
    assert "answers that do not stand where they are said to" in seen.err
    assert "1 of 40 rows left out: 1 answer that stands nowhere in its context" in seen.err
    assert "at most 64 tokens long" in seen.err


def test_a_question_that_is_too_long_is_cut_and_said(
    place: Path, pretrained: hw.Run, answerer: hw.Run, told: Callable[..., Seen]
) -> None:
    rows = questions(20, 11)
    rows[0]["question"] = "Nobody knows, but tell me, " * 40 + rows[0]["question"]
    path = write(place / "long.jsonl", rows)
    out = place / "long"
    seen = told(
        "", "finetune", pretrained.path, path, "--task", "question_answering", "--steps", "1", "--out", out
    )
    assert "1 questions are longer than half of 64 tokens and lose their end" in seen.err
    assert "lose their end" in told("", "evaluate", answerer.path, path).err
    found = answerer.predict([(row["question"], row["context"]) for row in rows[:2]])
    assert ["question_cut" in answer for answer in found] == [True, False]


@pytest.mark.parametrize(
    ("rows", "more", "code", "words"),
    [
        (questions(20, 4), ("--text", "question"), 65, "name them with --text QUESTION,CONTEXT"),
        (questions(20, 4), ("--set", "objective.label_smoothing=0.1"), 78, "has no smoothing"),
        ([{**row, "answers": []} for row in questions(20, 4)], (), 65, "none of 20 questions has an answer"),
        ([{**row, "answers": "Oslo"} for row in questions(20, 4)], (), 65, "20 of 20 rows cannot be used"),
        (
            [{"text": "Anna went", "label": "a"}] * 20,
            (),
            65,
            "expected a question, its context and its answers",
        ),
        (questions(20, 4), ("--set", "training.length=6"), 2, "choose at least 8"),
    ],
    ids=["one column", "smoothing", "no answers", "wrong answers", "another task", "no room"],
)
def test_what_cannot_be_learnt_from_is_refused(
    place: Path,
    pretrained: hw.Run,
    told: Callable[..., Seen],
    rows: list[dict[str, Any]],
    more: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    path = write(place / "refused.jsonl", rows)
    seen = told(
        "",
        "finetune",
        pretrained.path,
        path,
        "--task",
        "question_answering",
        "--out",
        place / "refused",
        *more,
    )
    assert seen.code == code
    assert words in seen.err


def test_a_text_alone_is_no_question(answerer: hw.Run) -> None:
    with pytest.raises(UsageError, match="row 1: not a question and its context"):
        answerer.predict(["Who went away?"])
    with pytest.raises(UsageError, match="row 2: empty context"):
        answerer.predict([("Who went away?", "Anna went."), ("Who went away?", "\n")])
    assert answerer.predict([]) == []


def test_an_edited_card_is_named(answerer: hw.Run, place: Path, told: Callable[..., Seen]) -> None:
    copy = place / "edited"
    shutil.copytree(answerer.path, copy)
    card = json.loads((copy / "model" / "headwater.json").read_text(encoding="utf-8"))
    del card["unanswerable"]
    (copy / "model" / "headwater.json").write_text(json.dumps(card), encoding="utf-8")
    seen = told("", "predict", copy, "-", "--quiet", stdin=b'{"question": "Who?", "context": "Anna went"}\n')
    assert seen.code == 65
    assert "lacks what question_answering needs" in seen.err
