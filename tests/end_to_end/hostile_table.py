"""Makes docs/hostile-inputs.md from what the tests see: python tests/end_to_end/hostile_table.py"""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "hostile-inputs.md"
SECTIONS = {
    "test_hostile_inputs.py": "Data",
    "test_hostile_media.py": "Pictures, recordings and clips",
    "test_hostile_pairs.py": "Pairs, captions and speech",
    "test_hostile_tasks.py": "Tasks",
    "test_hostile_commands.py": "Commands, settings and rows to answer",
    "test_asked_rows.py": "Rows that are asked as they come",
    "test_hostile_runs.py": "Runs, models and checkpoints",
    "test_hostile_machine.py": "The machine: disks, memory, signals, pipes",
}
HEAD = """# What a user sees when things are not as they should be

Every error is one line on standard error that says what was found, what was expected and what to do. Standard output
then holds nothing (`predict` and `embed` have by then printed what could be answered). `--debug` shows the traceback.
The exit codes are those of sysexits.h: 2 the command, 65 the data, 66 a file that is not there, 70 training or memory,
74 a disk, 75 asked to end, 78 a setting, 130 Ctrl-C. A run that fails before its first step leaves no folder behind, so
the mended command works under the same name.

`predict` and `embed` answer every row that can be answered. A line of standard input or a row of a table that cannot be
used gives `{"row": 4, "error": "…"}` in its place (in an array of vectors a row that is no number); at the end the exit
code is 65 and standard error counts what was left out. Blank lines are no rows.
Only `translate` answers every line of plain text in its place, a blank one with an empty text, in files too.

The last column is the line that matters: the error, or the remark on what was found; "…" ends a long one.
This page is made by `python tests/end_to_end/hostile_table.py` from the tests that assert what stands here.
What becomes of 200 damaged files of each format of pictures, recordings and clips:
`benchmarks/results/2026-11-30-mutations.md`.
"""
LONGEST = 260

Row = tuple[str, str, int, str]


class Collector:
    """A pytest plugin that keeps the rows that tests record."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {name: [] for name in SECTIONS}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            rows = [value for name, value in report.user_properties if name == "hostile"]
            self.rows[Path(report.location[0]).name] += rows  # pyright: ignore[reportArgumentType]


def page(rows: dict[str, list[Row]]) -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for name, title in SECTIONS.items():
        parts.append(f"\n## {title}\n\n| input | command | exit | what the user reads |\n|---|---|---|---|\n")
        parts += [
            f"| {_cell(what)} | `{_cell(command)}` | {code} | {_cell(line)} |\n"
            for what, command, code, line in rows[name]
        ]
    return "".join(parts)


def _cell(text: str) -> str:
    plain = text.replace("|", "\\|").replace("\n", " ")
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def main() -> int:
    sys.path.insert(0, str(HERE.parents[1]))  # as `python -m pytest` does in the repository
    collector = Collector()
    files = [str(HERE / name) for name in SECTIONS]
    ended = pytest.main(
        ["-q", "-k", "not test_every_case_stands_in_the_table", *files],
        plugins=[collector],
    )
    if ended == pytest.ExitCode.OK:
        PAGE.write_text(page(collector.rows), encoding="utf-8")
        print(f"{sum(map(len, collector.rows.values()))} rows in {PAGE}")
    return int(ended)


if __name__ == "__main__":
    sys.exit(main())
