"""Two things of a row, one label: questions in words about a picture, and captions that fit a picture or do not.

    python recipes/two_things_of_a_row/sprites.py sprite_captions/ sprites/
    headwater pretrain sprite_captions/train.tsv --objective pair_contrast --size nano --steps 900 --out runs/captions
    headwater finetune runs/captions sprites/fits_train.tsv --pair image,text --label fits --out runs/fits
    headwater evaluate runs/fits sprites/fits_test.tsv
    headwater finetune runs/captions sprites/questions_train.tsv --pair image,text --label answer --out runs/answers

The folder holds a table and an archive of pictures for each part: a column names the picture, another is its caption,
and one more stands for each thing that may be asked about.
"""

import argparse
import csv
import random
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

QUESTIONS: Mapping[str, Sequence[str]] = {
    "direction": ("which way does it look?", "where does the character face?"),
    "body": ("what skin has it?", "the colour of the skin?"),
    "bottomwear": ("what does it wear below?", "trousers or leggings?"),
    "topwear": ("what shirt is it?", "what does it wear above?"),
    "hair": ("what hair has it?", "the hair?"),
    "shoes": ("what is on the feet?", "which shoes?"),
}
"""What is asked about, and in which words."""
ASKED = {"train": 1, "test": 2}
"""Questions a picture."""
Row = Mapping[str, str]


def questions(rows: Sequence[Row], count: int, draw: random.Random) -> Iterator[tuple[str, str, str]]:
    """A picture, a question about it, and the answer: what is asked about with its number."""
    for row in rows:
        for about in draw.sample(list(QUESTIONS), count):
            yield row["image"], draw.choice(QUESTIONS[about]), f"{about} {row[about]}"


def captions(rows: Sequence[Row], draw: random.Random) -> Iterator[tuple[str, str, str]]:
    """A picture and a caption, every second time that of another one, and whether it fits."""
    for row in rows:
        said = row if draw.random() < 0.5 else draw.choice(rows)
        fits = said["caption_en"] == row["caption_en"]
        yield row["image"], said["caption_en"], "yes" if fits else "no"


def write(path: Path, columns: Sequence[str], rows: Iterable[tuple[str, str, str]]) -> None:
    """The table, its pictures in the folder beside it."""
    lines = ["\t".join(columns), *(f"pictures/{picture}\t{text}\t{label}" for picture, text, label in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Unpack the pictures, write two tables for each part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="the folder of the sprites with captions")
    parser.add_argument("out", type=Path, help="where the tables and pictures go")
    given = parser.parse_args(arguments)
    (given.out / "pictures").mkdir(parents=True, exist_ok=True)
    for part, count in ASKED.items():
        with zipfile.ZipFile(given.source / f"{part}_images.zip") as packed:
            packed.extractall(given.out / "pictures")
        with (given.source / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        draw = random.Random(part)
        asked = questions(rows, count, draw)
        write(given.out / f"questions_{part}.tsv", ("picture", "question", "answer"), asked)
        write(given.out / f"fits_{part}.tsv", ("picture", "caption", "fits"), captions(rows, draw))


if __name__ == "__main__":
    main()
