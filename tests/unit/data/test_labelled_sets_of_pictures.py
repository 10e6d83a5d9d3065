"""Labelled pictures: labels from folders and arrays, decoded once, nothing lost without a word."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data import labelled_media as module
from headwater.data.arrays import holds_array
from headwater.data.cutting import PictureCut, cut_of
from headwater.data.labelled_media import read_labelled_media
from headwater.data.problems import Problems
from headwater.data.readers.media import digest_of
from headwater.errors import BadDataError, MissingInputError
from headwater.run.tasks.classification import not_read


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            folder = tmp_path / "pets" / part / kind
            folder.mkdir(parents=True)
            for number in range(3):
                Image.fromarray(rng.integers(256, size=(20, 24, 3), dtype=np.uint8)).save(
                    folder / f"{number}.png"
                )
    for number in range(25):
        (tmp_path / "pets" / "train" / "cat" / f"bad{number:02}.png").write_bytes(b"no")
    return tmp_path / "pets"


def test_folders_are_labels_and_parts_are_kept_apart(pets: Path) -> None:
    train = read_labelled_media(pets, cut=PictureCut())
    test = read_labelled_media(pets, split="test", cut=cut_of(train.facts["cut"]))
    assert train.label_counts() == test.label_counts() == {"cat": 3, "dog": 3}
    assert train.facts["cut"] == PictureCut(18, 3, 3).to_dict()
    first = train.examples[0]
    assert first.pixels is not None
    assert (first.pixels.shape, first.label) == ((18, 18, 3), "cat")
    assert first.digest == digest_of(np.asarray(Image.open(pets / "train" / "cat" / "0.png")))


def test_columns_that_nothing_is_learnt_from_are_named(pets: Path) -> None:
    table = pets / "train" / "labels.tsv"
    rows = [f"cat/{number}.png\t{number % 2}\ta title" for number in range(3)]
    table.write_text("file\tgood\ttitle\n" + "\n".join(rows), encoding="utf-8")
    found = read_labelled_media(table, label="good", cut=PictureCut())
    assert found.facts["not_read"] == ["title"]
    assert not_read(found) == "; columns not read: title"
    assert not_read(read_labelled_media(pets, split="test", cut=PictureCut())) == ""


def test_broken_ones_are_counted_again_without_being_decoded_again(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_labelled_media(pets, cut=PictureCut())
    monkeypatch.setattr(module, "watched", lambda *_: pytest.fail("decoded again"))
    again = read_labelled_media(pets, cut=PictureCut())
    assert again.problems.by_reason() == first.problems.by_reason() == {"no picture": 25}
    assert again.problems.rows == 31
    assert [row.digest for row in again.examples] == [row.digest for row in first.examples]


def test_arrays_bring_their_labels(pets: Path, tmp_path: Path) -> None:
    pictures = np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8)
    np.savez(
        tmp_path / "a.npz", x_train=pictures, y_train=np.arange(5) % 2, x_test=pictures[:2], kind_test=[7, 8]
    )
    train = read_labelled_media(tmp_path / "a.npz", split="train", cut=PictureCut())
    assert [row.label for row in train.examples] == ["0", "1", "0", "1", "0"]
    assert train.facts["cut"] == PictureCut(8, 2, 1).to_dict()
    test = read_labelled_media(tmp_path / "a.npz", split="test", label="kind", cut=PictureCut())
    assert test.label_counts() == {"7": 1, "8": 1}
    with pytest.raises(MissingInputError, match="no validation part"):
        read_labelled_media(tmp_path / "a.npz", split="validation", cut=PictureCut())


def test_pictures_without_labels_are_refused_unless_they_need_none(pets: Path) -> None:
    alone = pets / "test" / "dog"
    with pytest.raises(BadDataError, match="none of 3 pictures has a label"):
        read_labelled_media(alone, cut=PictureCut())
    assert len(read_labelled_media(alone, need_labels=False, cut=PictureCut())) == 3


def test_where_nothing_can_be_decoded_it_is_said(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no")
    with pytest.raises(BadDataError, match="none of 1 files is a picture"):
        read_labelled_media(tmp_path / "no.png", cut=PictureCut())
    with pytest.raises(
        BadDataError, match="none of the pictures can be read; 1 of 1 rows left out: 1 no picture"
    ):
        read_labelled_media(tmp_path / "no.png", cut=PictureCut(8, 2, 1))


def test_problems_come_back_as_they_were() -> None:
    problems = Problems()
    problems.rows = 40
    for row in range(30):
        problems.add("a", row + 1, "broken", f"detail {row}")
    problems.add("b", 0, "file damaged", "why")
    problems.note("turned", 3)
    again = Problems.from_dict(problems.to_dict())
    assert again.to_dict() == problems.to_dict()
    assert (again.total, again.files, again.summary()) == (30, 1, problems.summary())


def test_an_array_of_another_part_is_no_label_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    np.savez(path, x_test=np.zeros((3, 8, 8)), y_test=np.arange(3), y_train=np.arange(3), way=np.arange(3))
    assert holds_array(path, "way")
    assert not holds_array(path, "y_train")
    assert not holds_array(path, "nobody")
    assert not holds_array(tmp_path, "way")
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    assert not holds_array(tmp_path / "broken.npz", "way")
