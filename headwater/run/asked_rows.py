"""What a finished run is asked: rows of a file or of standard input, and which of them cannot be answered."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from headwater.data.cutting import Cut
from headwater.data.decoding import flaw
from headwater.data.examples import Content, Example
from headwater.data.labelled_media import read_labelled_media
from headwater.data.labelled_pairs import read_labelled_pairs
from headwater.data.pair_cut import PairCut, RowCut
from headwater.data.problems import Problem, Problems
from headwater.data.readers import read_labelled
from headwater.data.readers.columns import listed
from headwater.data.readers.histories import item_name, items_in, read_histories
from headwater.data.readers.json_rows import as_cell
from headwater.data.readers.lines import file_of_lines, read_lines
from headwater.data.readers.media import digest_of
from headwater.data.readers.questions import missing_part
from headwater.errors import BadDataError
from headwater.run.asked_pairs import PAIR, pair_in_line
from headwater.run.named_medium import picture_of
from headwater.run.standard_input import lines_as_they_come

ROWS_AT_A_TIME = 1024
AskedRow = Example | Problem
"""A row to answer, or the reason why it cannot be."""
RowKind = Literal["texts", "pairs", "questions", "histories", "pictures"]
"""Texts without the blanks around them, one of which may be empty; a question and its context, as written; what a user
had, in the order of time; pictures."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Which rows a model answers: of text, in which columns; of pictures and pairs, how they are cut.

    With ``every_line`` each line of plain text is a row, a blank one too. Of histories, ``events`` names the columns of
    a table of events.
    """

    kind: RowKind = "texts"
    text: tuple[str, ...] | None = None
    cut: RowCut | None = None
    every_line: bool = False
    events: tuple[str, ...] | None = None


def read_rows(rows: str, asking: Asking, problems: Problems) -> Iterator[list[AskedRow]]:
    """Rows of a file, about a thousand at a time, or of standard input, as many as have come.

    Standard input is JSON lines with the text columns, or plain text, one row a line; of pictures, the name of a file a
    line. A row that cannot be used stands in its place as a Problem.
    """
    if rows == "-":
        yield from _from_standard_input(asking, problems)
        return
    asked = _from_file(rows, asking, problems)
    while part := list(islice(asked, ROWS_AT_A_TIME)):
        yield part


def contents_of(part: Sequence[AskedRow]) -> list[Content]:
    """What the rows hold that can be answered."""
    return [row.content for row in part if isinstance(row, Example)]


def with_errors(part: Sequence[AskedRow], answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The answers in the order of the rows; a row that has none says why in its place."""
    for row in part:
        if isinstance(row, Example):
            place = {} if row.pixels is None else {"path": row.path, "row": row.row}
            user = {} if row.owner is None else {"user": row.owner}
            yield {**place, **user, **next(answers)}
        else:
            yield error_of(row)


def error_of(row: Problem) -> dict[str, Any]:
    """Why a row has no answer, in its place."""
    return {"row": row.row, "error": f"{row.reason}{f' ({row.detail})' if row.detail else ''}"}


def refuse_unanswered(problems: Problems) -> None:
    """After the last answer: an exit code for whoever counts on one answer a row."""
    if problems.total or problems.files:
        raise BadDataError(
            f"{problems.summary()}; all other rows were answered: mend these and ask for them again"
        )


def _from_file(rows: str, asking: Asking, problems: Problems) -> Iterator[AskedRow]:
    lines = (
        file_of_lines(rows, asking.text or ()) if asking.every_line or asking.kind == "histories" else None
    )
    if asking.every_line and lines is not None:
        yield from read_lines(lines, problems)
        return
    if isinstance(asking.cut, PairCut):
        found = read_labelled_pairs(rows, need_labels=False, cut=asking.cut, every_part=True)
        problems.absorb(found.problems)
        yield from _in_place(found.examples, found.problems)
        return
    if asking.cut is not None:
        found = read_labelled_media(rows, need_labels=False, cut=asking.cut, every_part=True)
        problems.absorb(found.problems)
        yield from found.examples
        return
    if asking.kind == "histories" and lines is None:
        found = read_histories(rows, columns=asking.events, every_part=True)
        problems.absorb(found.problems)
        users = list(map(_as_asked, found.examples))
        # An event that cannot be used is none of the rows that are answered.
        yield from users if any(user.owner for user in users) else _in_place(users, found.problems)
        return
    labels = "answers" if asking.kind == "questions" else "class"
    found = read_labelled(Path(rows), text=asking.text, need_labels=False, labels=labels, every_part=True)
    problems.absorb(found.problems)
    yield from _in_place(found.examples, found.problems)


def _as_asked(user: Example) -> Example:
    """A history as a line of standard input says it."""
    items = [item_name(item) for item in items_in(user.text)]
    return user._replace(texts=(json.dumps(items, ensure_ascii=False),))


def _in_place(examples: Sequence[Example], problems: Problems) -> Iterable[AskedRow]:
    """The rows in the order of their files, those that cannot be used among them."""
    lost = [problem for problem in problems.first(problems.total + problems.files) if problem.row]
    if not lost:
        return examples
    files = dict.fromkeys(row.path for row in (*examples, *lost))
    number = {path: place for place, path in enumerate(files)}
    return sorted((*examples, *lost), key=lambda row: (number[row.path], row.row))


def _from_standard_input(asking: Asking, problems: Problems) -> Iterator[list[AskedRow]]:
    number, plain = 0, asking.every_line
    for lines in lines_as_they_come(ROWS_AT_A_TIME):
        part: list[AskedRow] = []
        for line in lines:
            number += 1
            if not line.strip():
                if plain:
                    part.append(Example(("",), None, "standard input", number))
                continue
            # Blank lines between JSON are no rows.
            plain = asking.every_line and not line.lstrip().startswith("{")
            problems.rows += 1
            row = _from_line(line.strip(), number, asking)
            if isinstance(row, Problem):
                problems.add(*row)
            part.append(row)
        if part:
            yield part


def _from_line(line: str, number: int, asking: Asking) -> AskedRow:
    if isinstance(asking.cut, PairCut):
        return pair_in_line(line, number, asking.cut)
    if asking.cut is not None:
        return _from_name(line, number, asking.cut)
    text, kind = asking.text or ("text",), asking.kind

    def unusable(reason: str, detail: str = "") -> Problem:
        return Problem("standard input", number, reason, detail)

    cells: list[str | None] = [line]
    if line.startswith("{"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as problem:
            return unusable("invalid JSON", str(problem))
        if not any(name in value for name in text):
            return unusable("no text column", f"expected {', '.join(text)}; found {listed(list(value))}")
        cells = [as_cell(value.get(name)) for name in text]
    texts = tuple(cell or "" if kind == "questions" else (cell or "").strip() for cell in cells)
    reason = next(filter(None, map(flaw, texts)), None) or _missing(texts, kind)
    return unusable(reason) if reason else Example(texts, None, "standard input", number)


def _from_name(name: str, number: int, cut: Cut) -> AskedRow:
    """The picture of that name."""
    try:
        pixels = picture_of(name, cut)
    except BadDataError as problem:
        return Problem("standard input", number, f"no {cut.what.removesuffix('s')}", str(problem))
    return Example((), None, name, number, pixels, digest_of(pixels))


def _missing(texts: tuple[str, ...], kind: RowKind) -> str | None:
    if kind == "questions":
        return missing_part(texts)
    if kind == "pairs" and not (len(texts) == PAIR and all(texts)):
        return "not two texts to compare"
    return None if any(texts) else "empty text"
