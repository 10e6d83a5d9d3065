"""Tables beside pictures, recordings and clips: which file a row names, and what it says of it."""

import json
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data import Problems
from headwater.data.cutting import PictureCut
from headwater.data.labelled_media import read_labelled_media
from headwater.data.media_tables import find_media, label_column, modality_of
from headwater.errors import BadDataError


def picture(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(path)
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    for number in range(6):
        picture(folder / "photos" / f"{number}.png", 40 * number)
    rows = [f"{n}.png,{'shoe' if n % 2 else 'hat'},{n * 10},{'test' if n > 3 else 'train'}" for n in range(6)]
    (folder / "products.csv").write_text("photo,kind,price,split\n" + "\n".join([*rows, "9.png,hat,1,train"]))
    return folder


def test_a_row_tells_label_and_part_of_the_file_it_names(shop: Path) -> None:
    problems = Problems()
    sources = find_media(shop, modality="image", problems=problems)
    assert [source.split for source in sources] == ["train"] * 4 + ["test"] * 2
    assert sources[1].row == {"kind": "shoe", "price": "10"}
    (problem,) = problems.first()
    assert (problem.row, problem.reason, problem.detail) == (7, "no such file", "9.png")
    rows = read_labelled_media(shop, label="kind", split="train", cut=PictureCut())
    assert [row.label for row in rows.examples] == ["hat", "shoe"] * 2
    assert rows.label_column == "kind"


def test_the_label_is_asked_for_where_several_columns_might_be_it(shop: Path) -> None:
    sources = find_media(shop, modality="image")
    with pytest.raises(BadDataError, match=r"kind.*price.*--label"):
        label_column(sources, None)
    with pytest.raises(BadDataError, match='no column "colour"'):
        label_column(sources, "colour")
    assert label_column(sources, "price") == "price"


def test_a_table_that_is_named_stands_for_the_files_it_names(shop: Path) -> None:
    table = shop / "some.tsv"
    table.write_text("path\tlabel\nphotos/2.png\ta\nphotos/4.png\tb\n")
    assert modality_of(table) == "image"
    sources = find_media(table, modality="image")
    assert [(Path(source.path).name, source.row) for source in sources] == [
        ("2.png", {"label": "a"}),
        ("4.png", {"label": "b"}),
    ]
    assert all(source.named for source in sources)


def test_files_inside_an_archive_beside_the_table(shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    folder.mkdir()
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for path in sorted((shop / "photos").iterdir()):
            archive.write(path, path.name)
    (folder / "labels.tsv").write_text("file\tclass\n" + "".join(f"{n}.png\t{n % 3}\n" for n in range(6)))
    rows = read_labelled_media(folder, cut=PictureCut())
    assert [row.label for row in rows.examples] == ["0", "1", "2", "0", "1", "2"]


def test_a_file_that_no_row_names_has_no_label(shop: Path) -> None:
    picture(shop / "photos" / "stray.png", 7)
    rows = read_labelled_media(shop, label="kind", split="train", cut=PictureCut())
    assert len(rows.examples) == 4


def test_a_file_named_twice_has_one_label_and_all_its_texts(shop: Path) -> None:
    path = shop / "more.csv"
    path.write_text("photo,kind\n0.png,hat\n0.png,shoe\n1.png,hat\n")
    found = read_labelled_media(path, cut=PictureCut(), split="train")
    assert [row.label for row in found.examples] == ["hat", "hat"]
    (problem,) = found.problems.first()
    assert (problem.row, problem.reason) == (2, "a file named twice")
    texts = read_labelled_media(path, cut=PictureCut(), split="train", labels="text")
    assert [row.references for row in texts.examples] == [("hat", "shoe"), ("hat",)]
    assert not texts.problems.total


def test_a_table_without_files_is_text(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 3)
    (tmp_path / "reviews.csv").write_text("text,label\nfine thing,1\npoor thing,0\n")
    assert modality_of(tmp_path / "reviews.csv") == "text"
    with pytest.raises(BadDataError, match="no column names pictures"):
        find_media(tmp_path / "reviews.csv", modality="image")


def test_what_several_tables_say_of_a_file_comes_together_and_what_differs_is_told(shop: Path) -> None:
    (shop / "stock.csv").write_text("photo,left,price\n1.png,7,10\n2.png,0,99\n")
    (shop / "test.csv").write_text("photo,left\n1.png,7\n")
    problems = Problems()
    sources = find_media(shop, modality="image", problems=problems)
    assert sources[1].row == {"kind": "shoe", "price": "10", "left": "7"}
    assert sources[2].row == {"kind": "hat", "price": "20", "left": "0"}
    assert sources[1].split == "train"
    told = sorted((Path(one.path).name, one.row, one.reason, one.detail) for one in problems.first())
    first = "two tables disagree, the first is kept"
    assert told == [
        ("products.csv", 7, "no such file", "9.png"),
        ("stock.csv", 2, first, f"{shop / 'photos' / '2.png'}: price"),
        ("test.csv", 1, first, f"{shop / 'photos' / '1.png'}: its part"),
    ]


@pytest.mark.parametrize(
    "named",
    ["../photos/{}.png", "{}", "{}.PNG", "somewhere/else/{}.png"],
    ids=["from another folder", "without an ending", "in another letter case", "by its last part"],
)
def test_a_file_is_found_however_a_row_spells_it(named: str, tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "photos" / f"{number}.png", 40 * number)
    (tmp_path / "labels").mkdir()
    rows = [f"{named.format(number)},{'xy'[number % 2]}" for number in range(4)]
    (tmp_path / "labels" / "all.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    found = read_labelled_media(tmp_path, label="label", split="train", cut=PictureCut())
    assert [row.label for row in found.examples] == ["x", "y"] * 2


def test_names_are_the_same_in_both_unicode_forms(tmp_path: Path) -> None:
    picture(tmp_path / unicodedata.normalize("NFD", "Café.png"), 10)
    picture(tmp_path / "b.png", 90)
    rows = f"file,label\n{unicodedata.normalize('NFC', 'Café.png')},x\nb.png,y\n"
    (tmp_path / "labels.csv").write_text(rows, encoding="utf-8")
    assert len(read_labelled_media(tmp_path, cut=PictureCut()).examples) == 2


def test_a_label_that_no_table_can_give_is_refused_and_such_a_table_is_told_of(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png", 40 * number)
    (tmp_path / "labels.csv").write_text("photo,kind\n77.png,x\n78.png,y\n")
    with pytest.raises(BadDataError, match=r'no table names these pictures, .* the column "kind"'):
        read_labelled_media(tmp_path, label="kind", split="train", cut=PictureCut())
    found = read_labelled_media(tmp_path, split="train", cut=PictureCut())
    assert {row.label for row in found.examples} == {"a", "b"}
    assert any(note.startswith("table labels.csv names none") for note in found.problems.to_dict()["notes"])


def test_a_column_of_numbers_is_no_column_of_files_that_are_called_so(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"{number}.png", 40 * number)
    rows = [f"{number % 2},{number}.png" for number in range(8)]  # half of the files are not there
    (tmp_path / "labels.csv").write_text("\n".join(["digit,photo", *rows]) + "\n")
    found = read_labelled_media(tmp_path, cut=PictureCut())
    assert (found.label_column, [row.label for row in found.examples]) == ("digit", ["0", "1"] * 2)


def test_tables_in_archives_and_in_json_speak_of_the_files_beside_them(tmp_path: Path) -> None:
    for number in range(6):
        picture(tmp_path / "raw" / f"{number}.png", 40 * number)
    rows = "\n".join(f"{n}.png,{'shoe' if n % 2 else 'hat'}" for n in range(6))
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        archive.writestr("shop/labels.csv", f"file,kind\n{rows}\n")
        for number in range(6):
            archive.write(tmp_path / "raw" / f"{number}.png", f"shop/photos/{number}.png")
    sources = find_media(tmp_path / "shop.zip", modality="image")
    assert [(source.row or {})["kind"] for source in sources] == ["hat", "shoe"] * 3
    told = [{"file_name": f"{n}.png", "kind": "hat" if n < 3 else "shoe"} for n in range(6)]
    (tmp_path / "raw" / "metadata.json").write_text(json.dumps(told))
    sources = find_media(tmp_path / "raw", modality="image")
    assert [(source.row or {})["kind"] for source in sources] == ["hat"] * 3 + ["shoe"] * 3


def test_json_beside_pictures_that_is_no_table_costs_nothing(shop: Path) -> None:
    (shop / "version.json").write_text('{"version": 3, "made": "today"}')
    (shop / "broken.json").write_text("{")
    for number in range(6):
        (shop / "photos" / f"{number}.png.json").write_text(
            json.dumps({"iso": number, "note": "words of it"})
        )
    sources = find_media(shop, modality="image")
    assert sources[1].row == {"kind": "shoe", "price": "10"}
    assert modality_of(shop) == "image"
