"""Tables whose files lie elsewhere: a cell is followed where it leads."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data import Problems
from headwater.data.cutting import PictureCut
from headwater.data.inspection import inspect
from headwater.data.labelled_media import read_labelled_media
from headwater.data.media_tables import find_media, modality_of
from headwater.data.pair_rows import Pairing, Place
from headwater.data.pairing import find_pairs
from headwater.data.readers.labelled import read_labelled
from headwater.errors import BadDataError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "far" / "photos"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.fromarray(np.full((8, 8, 3), 60 * number, np.uint8)).save(folder / f"{number}.png")
    return folder


def table(folder: Path, names: list[str], further: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    rows = [
        f"{name},{'ab'[number % 2]}{further and f',{further} {number}'}" for number, name in enumerate(names)
    ]
    path = folder / "labels.csv"
    path.write_text("\n".join(["file,label" + (further and ",words"), *rows]) + "\n")
    return path


@pytest.mark.parametrize("from_where", ["the root", "the table", "here"])
def test_a_cell_is_followed_where_it_leads(
    photos: Path, tmp_path: Path, from_where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {"the root": f"{photos}/", "the table": "../far/photos/", "here": "photos/"}[from_where]
    monkeypatch.chdir(photos.parent)
    path = table(tmp_path / "tables", [f"{before}{number}.png" for number in (3, 1, 0)] + [f"{before}9.png"])
    assert modality_of(path) == "image"
    found = read_labelled_media(path, cut=PictureCut())
    assert [(Path(row.path).name, row.label) for row in found.examples] == [
        ("3.png", "a"),
        ("1.png", "b"),
        ("0.png", "a"),
    ]
    (problem,) = found.problems.first()
    assert (problem.row, problem.reason, problem.detail) == (4, "no such file", f"{before}9.png")


def test_a_path_that_leads_somewhere_comes_before_a_file_of_the_same_name_around_the_table(
    photos: Path, tmp_path: Path
) -> None:
    path = table(tmp_path / "tables", [str(photos / "0.png"), str(photos / "1.png")])
    near = tmp_path / "tables" / "other"
    near.mkdir()
    for number in range(2):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(near / f"{number}.png")
    assert [source.path for source in find_media(path, modality="image")] == [
        str(photos / "0.png"),
        str(photos / "1.png"),
    ]


def test_a_table_in_a_folder_that_was_named_leads_nowhere(photos: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "tables", [str(photos / "0.png"), str(photos / "1.png")])
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path.parent / "here.png")
    problems = Problems()
    (only,) = find_media(path.parent, modality="image", problems=problems)
    assert (Path(only.path).name, only.row) == ("here.png", None)
    assert "names none of the files" in " ".join(problems.notes)


def test_several_tables_that_are_named_are_of_the_kind_that_all_name(photos: Path, tmp_path: Path) -> None:
    tables = [table(tmp_path / name, [str(photos / f"{number}.png")]) for number, name in enumerate("ab")]
    assert modality_of(tables) == "image"
    assert len(find_media(tables, modality="image")) == 2
    (tmp_path / "words.csv").write_text("text,label\nfine thing,good\npoor thing,bad\n")
    assert modality_of([*tables, tmp_path / "words.csv"]) == "text"


def test_pairs_are_followed_too(photos: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "tables", [str(photos / f"{number}.png") for number in range(4)], "the picture")
    found = find_pairs(path, Pairing.of(("image", "text"), None))
    assert [(row.first, row.second) for row in found.rows] == [
        (Place(str(photos / f"{number}.png"), 1), f"the picture {number}") for number in range(4)
    ]
    assert len(found.sources(0)) == 4


def test_where_they_lead_nowhere_it_is_said(photos: Path, tmp_path: Path) -> None:
    path = table(tmp_path / "tables", ["0.png", "1.png", "2.png"])
    assert modality_of(path) == "text"
    with pytest.raises(
        BadDataError, match=r'of the pictures that column "file" names \(0.png, 1.png, 2.png\)'
    ):
        read_labelled(path)
    assert 'of the pictures that column "file" names' in str(inspect(path))
