"""Classes from folders: which folder is meant, and which only seems to name a part of the data."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data import Problems, find_sources, read_labelled
from headwater.data.classes import classes_of, without_false_parts
from headwater.data.cutting import PictureCut
from headwater.data.labelled_media import read_labelled_media
from headwater.data.media_tables import find_media
from headwater.errors import BadDataError, MissingInputError


def files(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 7 * number, np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat/1.png", "dog/1.png"], ["cat", "dog"]),
        (["animals/cat/1.png", "animals/dog/1.png", "cars/bus/1.png"], ["cat", "dog", "bus"]),
        (["cat/2021/1.png", "cat/2022-03/1.png", "dog/2021/1.png"], ["cat", "cat", "dog"]),
        (["0/1.png", "1/1.png"], ["0", "1"]),
        (["2021/7/1.png", "2021/8/1.png"], ["7", "8"]),
        (["cat/1.png", "dog/1.png", "loose.png"], ["cat", "dog", None]),
        (["train/cat/1.png", "train/dog/1.png", "test/cat/1.png"], ["cat", "dog", "cat"]),
        (["train/1.png", "test/1.png"], [None, None]),
    ],
)
def test_the_folder_that_is_meant_names_the_class(
    tmp_path: Path, names: list[str], expected: list[str | None]
) -> None:
    sources = find_sources(files(tmp_path, *names), modality="image")
    found = dict(zip((source.below for source in sources), classes_of(sources), strict=True))
    assert [found[name] for name in names] == expected


def test_photos_of_trains_are_no_part(tmp_path: Path) -> None:
    folder = files(
        tmp_path / "vehicles", *(f"{kind}/{n}.png" for kind in ("bus", "car", "train") for n in (1, 2))
    )
    sources = without_false_parts(find_sources(folder, modality="image"))
    assert {source.split for source in sources} == {None}
    assert read_labelled_media(folder, cut=PictureCut(), split="train").labels == ("bus", "car", "train")
    parts = files(
        tmp_path / "parts", *(f"{part}/{kind}/1.png" for part in ("train", "test") for kind in "ab")
    )
    assert {s.split for s in without_false_parts(find_sources(parts, modality="image"))} == {"train", "test"}
    more = files(tmp_path / "more", "train/1.png", "unlabelled/1.png")
    assert {s.split for s in without_false_parts(find_sources(more, modality="image"))} == {"train", None}


def test_a_test_part_of_one_class_is_judged_and_a_training_folder_of_one_is_not(tmp_path: Path) -> None:
    folder = files(tmp_path / "a", "train/cat/1.png", "train/dog/2.png", "test/cat/3.png")
    assert read_labelled_media(folder, cut=PictureCut(), split="test").labels == ("cat",)
    alone = files(tmp_path / "b", "photos/1.png", "photos/2.png")
    with pytest.raises(BadDataError, match="none of 2 pictures has a label; put them into one folder"):
        read_labelled_media(alone, cut=PictureCut(), split="train")


def test_a_loose_picture_is_told_and_makes_no_class(tmp_path: Path) -> None:
    folder = files(tmp_path / "a", "cat/1.png", "dog/2.png", "loose.png")
    found = read_labelled_media(folder, cut=PictureCut(), split="train")
    assert found.labels == ("cat", "dog")
    assert found.problems.by_reason() == {"no label": 1}


def test_archives_are_folders(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        inside = files(tmp_path / "raw" / kind, "1.png", "2.png")
        with zipfile.ZipFile(tmp_path / f"{kind}.zip", "w") as archive:
            for path in sorted(inside.iterdir()):
                archive.write(path, path.name)
    (tmp_path / "zips").mkdir()
    for kind in ("cat", "dog"):
        (tmp_path / f"{kind}.zip").rename(tmp_path / "zips" / f"{kind}.zip")
    assert read_labelled_media(tmp_path / "zips", cut=PictureCut(), split="train").labels == ("cat", "dog")


def test_texts_in_folders_follow_the_same_rules(tmp_path: Path) -> None:
    for name in ("good/2021/a.txt", "bad/2021/b.txt", "good/2022/c.txt", "loose.txt"):
        (tmp_path / "notes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "notes" / name).write_text(f"a note called {name} with words\n")
    found = read_labelled(tmp_path / "notes", split="train")
    assert found.label_counts() == {"good": 2, "bad": 1}
    assert found.problems.by_reason() == {"in none of the folders that name classes": 1}
    with pytest.raises(MissingInputError):
        read_labelled(tmp_path / "notes" / "nowhere")


def test_what_is_passed_over_is_noted(tmp_path: Path) -> None:
    folder = files(tmp_path / "a", "cat/1.png", "dog/2.png")
    for name in ("cat/3.heic", "dog/4.heic", "labels.md"):
        (folder / name).write_bytes(b"something")
    problems = Problems()
    find_sources(folder, modality="image", problems=problems)
    assert problems.notes == {"file(s) passed over, which are not read here (2 .heic)": 2}
    (folder / "cats.csv").write_text("file,kind\ncat/1.png,tabby\n")
    problems = Problems()
    assert len(find_media(folder / "cats.csv", modality="image", problems=problems)) == 1
    assert not problems.notes


def test_of_a_tiff_of_several_pages_the_first_is_read_and_told(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((8, 8), shade, np.uint8)) for shade in (10, 20, 30)]
    (tmp_path / "a" / "x").mkdir(parents=True)
    (tmp_path / "a" / "y").mkdir(parents=True)
    pages[0].save(tmp_path / "a" / "x" / "scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "a" / "y" / "one.tif")
    found = read_labelled_media(tmp_path / "a", cut=PictureCut(), split="train")
    assert found.problems.notes == {
        "TIFF(s) of several pages, of which the first is read: make a file of each page": 1
    }
