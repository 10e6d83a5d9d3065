"""Questions with the text that answers them: which parts of the text are answers, and where they begin."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from headwater.data.examples import Example
from headwater.data.problems import Problems
from headwater.data.readers.columns import Columns
from headwater.data.readers.squad import IMPOSSIBLE, SquadTable
from headwater.data.readers.table import Cell, Row, Table

NESTED = "questions read from SQuAD's articles and paragraphs"
UNPLACED = "answers without a place, taken where their text first stands in the context"
MISPLACED = (
    "answers that do not stand where they are said to, taken where their text first stands in the context"
)
LOST = "answers that stand nowhere in their context; their questions have others"
_starts = ("start", "answer_start")


class Answer(NamedTuple):
    """A part of a context: the characters ``start`` … ``start`` + len(text) − 1."""

    text: str
    start: int


def question_examples(
    table: Table, columns: Columns, problems: Problems, *, use_label: bool, need_label: bool
) -> Iterator[Example]:
    """The usable rows of a table of questions and contexts, as they are written: answers count characters.

    Answers may be SQuAD's list of {text, answer_start} (or start), the lists {text: […], answer_start: […]} that
    Hugging Face writes, or one plain text; none, or ``is_impossible``, says that the context answers nothing. An
    answer that does not stand where it is said to is looked for, and that is noted. A row is left out when its question
    or its context is empty, or when none of its answers stands in the context.
    """
    label = columns.label if use_label else None
    names = [*columns.text, *filter(None, [label])]
    impossible = [IMPOSSIBLE] if label and IMPOSSIBLE in table.columns and IMPOSSIBLE not in names else []
    for row in table.rows([*names, *impossible]):
        problems.rows += 1
        found = _example(row, table.path, problems, labelled=label is not None, needed=need_label)
        if isinstance(found, Example):
            if isinstance(table, SquadTable):
                problems.note(NESTED)
            yield found
        else:
            problems.add(table.path, row.number, *found)


def _example(
    row: Row, path: str, problems: Problems, *, labelled: bool, needed: bool
) -> Example | tuple[str, str]:
    """The row as an example, or the reason and the detail why it is none."""
    if row.problem:
        return row.problem, row.detail
    texts = tuple(cell or "" for cell in row.cells[:2])
    if reason := missing_part(texts):
        return reason, ""
    if not labelled:
        return Example(texts, None, path, row.number)
    answers = "[]" if any(map(_is_true, row.cells[3:])) else row.cells[2]
    if not (answers or "").strip():
        return ("empty label", "") if needed else Example(texts, None, path, row.number)
    stated = _stated(answers or "")
    if stated is None:
        return "malformed answers", (answers or "")[:40]
    found = _standing(stated, texts[1], problems)
    if stated and not found:
        return "answer that stands nowhere in its context", stated[0][0][:40]
    return Example(texts, written(found), path, row.number)


def missing_part(texts: Sequence[str]) -> str | None:
    """Why these texts are not a question and its context, or None."""
    if len(texts) != 2:
        return "not a question and its context"
    names = ("empty question", "empty context")
    return next((name for name, text in zip(names, texts, strict=True) if not text.strip()), None)


def answers_of(label: str) -> tuple[Answer, ...]:
    """The answers in the label of an example of ``question_examples``; none where nothing is one."""
    return tuple(Answer(**answer) for answer in json.loads(label))


def written(answers: Sequence[Answer]) -> str:
    """Answers as the label of an example."""
    return json.dumps([answer._asdict() for answer in answers], ensure_ascii=False)


def _is_true(cell: Cell) -> bool:
    return (cell or "").strip().casefold() in ("true", "1", "yes")


def _stated(cell: str) -> list[tuple[str, int | None]] | None:
    """The texts of the answers in a cell, and where each is said to stand; None where they are malformed."""
    if not cell.lstrip().startswith(("[", "{")):
        return [(cell.strip(), None)]
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        value = _one_by_one(cast(dict[str, Any], value))
    parts = [part if isinstance(part, dict) else {"text": part} for part in cast(list[Any], value)]
    found: list[tuple[str, int | None]] = []
    for part in cast(list[dict[str, Any]], parts):
        text, start = part.get("text"), _start(part)
        if not isinstance(text, str) or not (start is None or type(start) is int):
            return None
        if text.strip():
            found.append((text, start))
    return found


def _start(part: dict[str, Any]) -> Any:
    return next((part[name] for name in _starts if name in part), None)


def _one_by_one(lists: dict[str, Any]) -> list[dict[str, Any]]:
    """{text: […], answer_start: […]} as a list of answers; one answer alone as a list of one."""
    texts, starts = lists.get("text"), _start(lists)
    if not isinstance(texts, list):
        return [lists]
    places = [None] * len(texts) if starts is None else starts
    if not isinstance(places, list) or len(places) != len(texts):
        return [{}]  # which is no answer
    return [{"text": text, "start": place} for text, place in zip(texts, places, strict=True)]


def _standing(stated: Sequence[tuple[str, int | None]], context: str, problems: Problems) -> list[Answer]:
    """Those answers that stand in the context, each at its place."""
    found: list[Answer] = []
    for text, start in stated:
        if start is not None and start >= 0 and context.startswith(text, start):
            found.append(Answer(text, start))
        elif (first := context.find(text)) >= 0:
            problems.note(UNPLACED if start is None else MISPLACED)
            found.append(Answer(text, first))
    if found and len(found) < len(stated):
        problems.note(LOST, len(stated) - len(found))
    return found
