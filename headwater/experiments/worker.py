"""A process that trains cells for ``headwater.experiments.workers``: JSON lines in, JSON lines out.

The first line is the question; every further line is a cell, and the answer to it says that its result is kept, or
which error the user is to be told.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from headwater.errors import HeadwaterError
from headwater.experiments.experiment import Experiment, Question
from headwater.experiments.plan import Cell


def main() -> None:
    """Serve until the input ends."""
    with _only_answers() as answers:
        for answer in _answers(sys.stdin):
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _only_answers() -> TextIO:
    """Standard output for answers alone: whatever else is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _answers(lines: TextIO) -> Iterator[dict[str, str]]:
    parent = os.getppid()

    def check() -> None:
        if os.getppid() != parent:
            raise SystemExit(0)  # killed before it could end this process: nobody waits for the cell

    try:
        question = Question.from_dict(json.loads(lines.readline()))
        experiment = Experiment.of(question, question.rows())
        for line in lines:
            experiment.train(Cell(*json.loads(line)), check)
            yield {}
    except HeadwaterError as error:
        yield {"error": type(error).__name__, "words": str(error)}


if __name__ == "__main__":
    main()
