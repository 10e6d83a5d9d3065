"""Speakers whom the model has not heard: for each of them a table of all others, and one of their own recordings.

    python recipes/unheard_speakers/leave_one_out.py audio/fsdd/labels.tsv speakers/ --group speaker
    headwater finetune scratch speakers/not_theo.tsv --size nano --steps 2000 --set training.varied=1 \\
        --set training.optimizer=muon --set training.learning_rate=0.003 --set training.average=exponential --out theo
    headwater evaluate theo speakers/only_theo.tsv

The table names a file, a label and a group (speaker, camera, hospital) in each row. Its archives lie beside it, and the
new tables, which know of files and labels alone, get links to them.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

ARCHIVES = (".zip", ".tar", ".gz", ".npz")


def write(path: Path, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    """The rows, these columns of them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, delimiter="\t", extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Two tables for each group: everything but it, and it alone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="a table with a column of groups")
    parser.add_argument("out", type=Path, help="where the tables go")
    parser.add_argument("--group", default="speaker", help="the column of groups")
    parser.add_argument("--columns", default="file,digit", help="what the new tables keep, commas between")
    given = parser.parse_args(arguments)
    with given.table.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file, delimiter="\t")
        rows, known = list(table), table.fieldnames or ()
    columns = given.columns.split(",")
    if missing := {given.group, *columns} - {*known}:
        parser.error(
            f"{given.table} has no column {', '.join(sorted(missing))}; found {', '.join(known)}; "
            "name others with --group and --columns"
        )
    given.out.mkdir(parents=True, exist_ok=True)
    for archive in given.table.resolve().parent.iterdir():
        link = given.out / archive.name
        if archive.suffix in ARCHIVES and not link.exists():
            link.symlink_to(archive)
    for group in sorted({row[given.group] for row in rows}):
        write(given.out / f"not_{group}.tsv", columns, [row for row in rows if row[given.group] != group])
        write(given.out / f"only_{group}.tsv", columns, [row for row in rows if row[given.group] == group])
        print(group)


if __name__ == "__main__":
    main()
