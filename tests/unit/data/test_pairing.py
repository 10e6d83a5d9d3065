"""Which things belong together: tables, names, arrays, movement."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data.pair_rows import Pairing, Place
from headwater.data.pairing import find_pairs
from headwater.data.problems import Problems
from headwater.errors import BadDataError, SettingsError


def picture(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(path)


def captions(folder: Path, count: int = 6) -> Path:
    for number in range(count):
        picture(folder / f"{number}.png", number)
    lines = [
        f"{number}.png\ta picture of {number} things\t一张有{number}个东西的图片" for number in range(count)
    ]
    table = folder / "train.tsv"
    table.write_text("\n".join(["image\tcaption_en\tcaption_zh", *lines]) + "\n", encoding="utf-8")
    return table


def test_a_table_names_pictures_and_their_captions(tmp_path: Path) -> None:
    table = captions(tmp_path)
    found = find_pairs(table, Pairing.of(None, None))
    assert found.sides == ("image", "text")
    assert len(found.rows) == 12  # two captions make two pairs
    assert found.rows[0].first == Place(str(tmp_path / "0.png"), 1)
    assert {row.second for row in found.rows[:2]} == {"a picture of 0 things", "一张有0个东西的图片"}
    assert all(row.split == "train" for row in found.rows)
    one = find_pairs(table, Pairing.of(None, ("caption_zh",)))
    assert [row.second for row in one.rows] == [f"一张有{number}个东西的图片" for number in range(6)]


def test_a_file_that_nobody_finds_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    table = captions(tmp_path)
    (tmp_path / "3.png").unlink()
    problems = Problems()
    found = find_pairs(table, Pairing.of(None, ("caption_en",)), problems=problems)
    assert len(found.rows) == 5
    assert problems.by_reason() == {"no such file": 1}
    assert problems.rows == 6


def test_numbers_count_the_rows_of_an_array_of_the_tables_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (count, 8, 8), dtype=np.uint8) for count in (30, 7))
    np.savez(tmp_path / "digits.npz", x_train=train, x_test=test)
    for number in range(4):
        picture(tmp_path / "film" / f"{number}.png")
    (tmp_path / "table").mkdir()
    table = tmp_path / "table" / "test.tsv"
    table.write_text("digits_index\tcaption\n6\ta six here\n7\tbeyond the end\n0\ta zero here\n")
    found = find_pairs([table, tmp_path / "digits.npz"], Pairing.of(None, None))
    assert found.sides == ("image", "text")
    assert [row.first for row in found.rows] == [
        Place(str(tmp_path / "digits.npz" / "x_test"), 7),
        Place(str(tmp_path / "digits.npz" / "x_test"), 1),
    ]


def test_files_of_one_name_belong_together(tmp_path: Path) -> None:
    for name in ("a", "b", "lonely"):
        picture(tmp_path / f"{name}.png")
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"this is {name}\n")
    found = find_pairs(tmp_path, Pairing.of(None, None))
    assert found.sides == ("image", "text")
    assert [row.second for row in found.rows] == ["this is a", "this is b"]


@pytest.mark.parametrize("packed", ["zip", "tar", "gztar"])
def test_texts_in_archives_are_read_and_bad_ones_reported(packed: str, tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / "in" / f"{name}.png")
        (tmp_path / "in" / f"{name}.txt").write_text(
            "" if name == "c" else f"这是 {name}\n", encoding="utf-8"
        )
    archive = shutil.make_archive(str(tmp_path / "shard"), packed, tmp_path / "in")
    problems = Problems()
    found = find_pairs(archive, Pairing.of(None, None), problems=problems)
    assert [row.second for row in found.rows] == ["这是 a", "这是 b", "这是 d"]
    assert problems.by_reason() == {"empty text": 1}
    assert problems.rows == 4


def test_a_table_of_something_else_does_not_stand_in_the_way(tmp_path: Path) -> None:
    table = captions(tmp_path)
    (tmp_path / "other.csv").write_text("a,a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "labels.csv").write_text("file,kind\n0.png,x\n1.png,y\n")
    found = find_pairs(tmp_path, Pairing.of(None, ("caption_en",)))
    assert {row.path for row in found.rows} == {str(table)}
    with pytest.raises(BadDataError, match='no column "nobody"'):
        find_pairs(tmp_path, Pairing.of(None, ("nobody",)))


def test_a_clip_belongs_to_its_own_movement(tmp_path: Path) -> None:
    np.savez(tmp_path / "clips.npz", frames=np.zeros((5, 4, 16, 16, 3), np.uint8))
    found = find_pairs(tmp_path / "clips.npz", Pairing.of(None, None))
    assert found.sides == ("video", "flow")
    assert [row.first.row for row in found.rows if isinstance(row.first, Place)] == [1, 2, 3, 4, 5]
    assert all(row.first == row.second for row in found.rows)


def test_one_file_stands_for_its_pair(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"{number}.png", number)
        (tmp_path / f"{number}.txt").write_text(f"the number {number}")
    for name in ("3.png", "3.txt"):
        found = find_pairs(tmp_path / name, Pairing.of(("image", "text"), None), among=[tmp_path])
        assert [(row.first, row.second) for row in found.rows] == [
            (Place(str(tmp_path / "3.png"), 1), "the number 3")
        ]
    assert len(find_pairs(tmp_path, Pairing.of(None, None)).rows) == 4


def test_what_belongs_together_is_asked_for_where_it_cannot_be_told(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / f"{number}.png")
    with pytest.raises(BadDataError, match="expected two kinds of files with the same names"):
        find_pairs(tmp_path, Pairing.of(None, None))
    with pytest.raises(SettingsError, match="expected two of text, image"):
        Pairing.of(("image",), None)
    with pytest.raises(SettingsError, match="expected two of text, image"):
        Pairing.of(("image", "image"), None)
    table = captions(tmp_path / "more")
    with pytest.raises(BadDataError, match='no column "foto"'):
        find_pairs(table, Pairing.of(("image=foto", "text"), None))


def test_a_table_means_the_archive_of_its_own_part(tmp_path: Path) -> None:
    for part, shade in (("train", 10), ("test", 200)):
        with zipfile.ZipFile(tmp_path / f"{part}_images.zip", "w") as archive:
            for number in range(3):
                picture(tmp_path / "one.png", shade + number)
                archive.write(tmp_path / "one.png", f"{number}.png")
        rows = "".join(f"{number}.png\tthe picture of number {number}\n" for number in range(3))
        (tmp_path / f"{part}.tsv").write_text(f"image\tcaption\n{rows}")
    (tmp_path / "one.png").unlink()
    for part in ("train", "test"):
        found = find_pairs(tmp_path / f"{part}.tsv", Pairing.of(None, None))
        assert {Path(row.first.path).parent.name for row in found.rows if isinstance(row.first, Place)} == {
            f"{part}_images.zip"
        }


def test_movement_stands_where_its_clips_are_named() -> None:
    pairing = Pairing.of(["image", "flow=side"], None)
    assert pairing.of_modality("video") == ("side",)
    with pytest.raises(SettingsError, match="its own movement"):
        Pairing.of(["video=front", "flow=side"], None)


@pytest.mark.parametrize(
    ("pair", "text", "said"),
    [
        (["image", "text=title"], ["details"], "name different texts"),
        (["image", "audio"], ["title"], "neither of image and audio is text"),
    ],
)
def test_texts_that_are_named_twice(pair: list[str], text: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Pairing.of(pair, text)
