"""Texts written to the rows of a file or of standard input, each in its place."""

from collections.abc import Iterator, Sequence
from typing import Any

from headwater.data.examples import Example
from headwater.data.problems import Problem, Problems
from headwater.run.asked_rows import AskedRow, Asking, read_rows, refuse_unanswered, with_errors
from headwater.run.generating import Author, Decoding
from headwater.training.progress import Progress


def write_rows(
    author: Author, rows: str, decoding: Decoding, *, text: Sequence[str] | None, progress: Progress
) -> Iterator[dict[str, Any]]:
    """A continuation of each row; one that cannot be gone on with says why in its place, and costs no other."""
    problems = Problems()
    asking = Asking(text=tuple(text) if text else author.text_columns, every_line=author.line_by_line)
    progress.stage("texts")
    done = blank = 0
    remarks: list[str] = []
    for part in read_rows(rows, asking, problems):
        part = list(_writable(author, part, decoding, problems))
        prompts = [prompt_of(row) for row in part if isinstance(row, Example)]
        blank += prompts.count("")
        if not remarks:  # once is enough
            remarks = list(author.remarks(prompts, decoding))
            for remark in remarks:
                progress.say(f"in rows {done + 1:,} to {done + len(part):,}: {remark}")
        written = author.answer(
            prompts, decoding, lambda number, before=done: progress.update(before + number)
        )
        yield from with_errors(part, written)
        done += len(part)
    if blank:
        progress.say(f"{blank:,} of {done:,} lines are blank, and their answers empty texts")
    refuse_unanswered(problems)


def prompt_of(row: Example) -> str:
    """The texts of a row that are not empty, a line break between them."""
    return "\n".join(filter(None, row.texts))


def _writable(
    author: Author, part: Sequence[AskedRow], decoding: Decoding, problems: Problems
) -> Iterator[AskedRow]:
    """The rows; those whose prompt is too long as problems."""
    reasons = iter(author.beyond([prompt_of(row) for row in part if isinstance(row, Example)], decoding))
    for row in part:
        if isinstance(row, Example) and (reason := next(reasons)):
            problem = Problem(row.path, row.row, "prompt too long", reason)
            problems.add(*problem)
            yield problem
        else:
            yield row
