"""Network records as events: each connection is written as a short text, and a Transformer of its own reads it.

    python recipes/network_intrusion/records.py train_20percent.csv records/train.tsv
    python recipes/network_intrusion/records.py test.csv records/test.tsv
    headwater pretrain records/train.tsv --size nano --steps 600 --out runs/network \\
        --set data.keep_duplicates=true
    headwater finetune runs/network records/train.tsv --out runs/intrusion
    headwater evaluate runs/intrusion records/test.tsv

A number becomes the word of its field and its size: shares in tenths, counts and bytes by powers of two. What is
zero is left out, so a record of 41 fields is about 16 words. Records repeat themselves, so duplicates stay. The data:
NSL-KDD (Tavallaee et al. 2009), whose test part holds kinds of attack that the training part has not.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

NAMES = ("protocol_type", "service", "flag")
"""Fields that are words already."""
LABELS = ("attack", "difficulty", "category")


def words(record: Mapping[str, str]) -> Iterator[str]:
    """The events of one connection."""
    for field, value in record.items():
        plain = field.replace("_", "")
        if field in NAMES:
            yield f"{plain} {value}"
        elif field not in LABELS and (size := level(field, float(value))):
            yield f"{plain}{size}"


def level(field: str, value: float) -> int:
    """A share in tenths, rounded up so that a little is not nothing; anything else by powers of two."""
    if field.endswith("_rate"):
        return min(10, int(value * 10 + 0.999))
    return int(value).bit_length()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("records", type=Path, help="a CSV file of NSL-KDD with a header line")
    parser.add_argument("table", type=Path, help="the table of texts and labels to write")
    parser.add_argument("--label", default="category", help="category (five) or binary (normal or attack)")
    chosen = parser.parse_args(arguments)
    chosen.table.parent.mkdir(parents=True, exist_ok=True)
    with chosen.records.open(encoding="utf-8") as source, chosen.table.open("w", encoding="utf-8") as table:
        records = list(csv.DictReader(source))
        table.write("label\ttext\n")
        for record in records:
            kind = record["category"]
            label = kind if chosen.label == "category" or kind == "normal" else "attack"
            table.write(f"{label}\t{' '.join(words(record))}\n")
    print(f"{len(records):,} records in {chosen.table}")


if __name__ == "__main__":
    main()
