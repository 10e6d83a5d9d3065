"""The recipe of questions about pictures: what is asked has its answer, what fits is its own."""

import csv
import zipfile
from pathlib import Path

from recipes.two_things_of_a_row.sprites import QUESTIONS
from recipes.two_things_of_a_row.sprites import main as sprites


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_answers_and_captions_are_those_of_their_pictures(tmp_path: Path) -> None:
    for part in ("train", "test"):
        rows = [
            {"image": f"{part}_{n}.png", "caption_en": f"character {n}"}
            | {about: str(n * 10 + place) for place, about in enumerate(QUESTIONS)}
            for n in range(30)
        ]
        with (tmp_path / f"{part}.tsv").open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]), delimiter="\t")
            table.writeheader()
            table.writerows(rows)
        with zipfile.ZipFile(tmp_path / f"{part}_images.zip", "w") as packed:
            for row in rows:
                packed.writestr(row["image"], b"a picture")
    sprites([str(tmp_path), str(tmp_path / "out")])
    for part, each in (("train", 1), ("test", 2)):
        known = {f"pictures/{row['image']}": row for row in read(tmp_path / f"{part}.tsv")}
        asked = read(tmp_path / "out" / f"questions_{part}.tsv")
        assert len(asked) == 30 * each
        for row in asked:
            about, number = row["answer"].split()
            assert row["question"] in QUESTIONS[about]
            assert known[row["picture"]][about] == number
            assert (tmp_path / "out" / row["picture"]).is_file()
        told = read(tmp_path / "out" / f"fits_{part}.tsv")
        own = [known[row["picture"]]["caption_en"] == row["caption"] for row in told]
        assert [row["fits"] == "yes" for row in told] == own
        assert 5 < sum(own) < 25
