"""SQuAD's JSON, articles with paragraphs with questions, as a table of one question a row.

Source of the format: Rajpurkar et al. 2016, arXiv:1606.05250; 2018, arXiv:1806.03822, where some have no answer.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from headwater.data.decoding import flaw
from headwater.data.files import Source
from headwater.data.readers.json_rows import JsonTable, array_elements, as_cell, head_of
from headwater.data.readers.table import Row, Table

QUESTION, CONTEXT, ANSWERS, IMPOSSIBLE = "question", "context", "answers", "is_impossible"
_scalar = r'"\w+"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*,\s*'
_opening = re.compile(rf'\s*\{{\s*(?:{_scalar})*"data"\s*:\s*\[')
_paragraphs = re.compile(r'"paragraphs"\s*:\s*\[')


def json_table(source: Source) -> Table:
    """The table in a file named .json: SQuAD's where its first characters say so, else rows of objects."""
    head = head_of(source)
    is_squad = _opening.match(head) and _paragraphs.search(head)
    return SquadTable(source) if is_squad else JsonTable(source)


class SquadTable(Table):
    """One question a row, each with its whole paragraph as context; articles are read one at a time."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = source.path
        self.columns = ("id", "title", QUESTION, CONTEXT, ANSWERS, IMPOSSIBLE)
        self.facts = {"layout": "SQuAD's articles, paragraphs and questions"}

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All questions with the cells of these columns, in this order."""
        for number, question in enumerate(self._questions(), start=1):
            if isinstance(question, Row):
                yield question._replace(number=number)
                continue
            cells = tuple([as_cell(question.get(column)) for column in columns])
            reason = next(filter(None, (flaw(cell) for cell in cells if cell)), None)
            yield Row(number, () if reason else cells, reason or "")

    def _questions(self) -> Iterator[Mapping[str, Any] | Row]:
        for article, problem, detail in array_elements(self._source, _opening):
            if problem:
                yield Row(0, (), problem, detail)
                continue
            for paragraph in _objects(article, "paragraphs"):
                if isinstance(paragraph, Row):
                    yield paragraph
                    continue
                for question in _objects(paragraph, "qas"):
                    if isinstance(question, Row):
                        yield question
                    else:
                        yield {**question, "title": article.get("title"), CONTEXT: paragraph.get(CONTEXT)}


def _objects(owner: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any] | Row]:
    """The objects in a list of this name; what is none of them, as a row with the reason."""
    found = owner.get(name)
    if not isinstance(found, list):
        yield Row(0, (), f"no list of {name}")
        return
    for element in cast(list[object], found):
        if isinstance(element, dict):
            yield cast(Mapping[str, Any], element)
        else:
            yield Row(0, (), f"not a JSON object in {name}", type(element).__name__)
