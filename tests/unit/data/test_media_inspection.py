"""What is said of pictures before anything is done with them."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data import media_inspection as module
from headwater.data.contact_sheet import Spread, Thumbnails
from headwater.data.media_inspection import inspect_media
from headwater.errors import StorageError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(12):
        part, label = ("train", "test")[number % 3 == 2], ("cat", "dog")[number % 2]
        path = tmp_path / "photos" / part / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (10, 20 + number) if number == 4 else (10, 20, 3)
        Image.fromarray(rng.integers(256, size=shape, dtype=np.uint8)).save(path)
    folder = tmp_path / "photos" / "train" / "cat"
    first = sorted(folder.iterdir())[0]
    (folder / "again.png").write_bytes(first.read_bytes())
    (tmp_path / "photos" / "test" / "cat" / "leaked.png").write_bytes(first.read_bytes())
    (folder / "broken.png").write_bytes(b"nothing")
    return tmp_path / "photos"


def test_a_report_states_sizes_channels_labels_and_what_is_wrong(photos: Path) -> None:
    train, test = inspect_media(photos).parts
    assert (train.split, train.items, train.exact_duplicates) == ("train", 9, 1)
    assert (test.split, test.items, test.also_in_train) == ("test", 5, 1)
    assert train.channels == {"colour": 8, "grey": 1}
    assert train.sides == {"smallest": (20, 10), "middle": (20, 10), "largest": (24, 10)}
    assert test.sides == {"all": (20, 10)}
    assert train.labels == {"cat": 5, "dog": 4}
    assert train.problems.by_reason() == {"no picture": 1}


def test_a_report_is_json_and_text(photos: Path) -> None:
    found = inspect_media(photos)
    assert json.loads(json.dumps(found.to_dict()))["parts"][0]["labels"] == {"cat": 5, "dog": 4}
    text = str(found)
    assert "train: 9 pictures in 10 files" in text
    assert "broken.png row 1: no picture" in text
    assert "1 pictures equal one of the train part" in text


def test_a_contact_sheet_shows_every_label_in_turn(photos: Path, tmp_path: Path) -> None:
    found = inspect_media(photos, sheet=tmp_path / "out" / "sheet.png")
    assert found.sheet == str(tmp_path / "out" / "sheet.png")
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.size == (4 * 100 + 4, 4 * 100 + 4)  # 9 + 5 pictures
        filled = np.asarray(sheet.convert("L"))[
            4 + 24 : 4 + 72, 4 : 4 + 96
        ]  # a picture twice as wide as high
    assert filled.std() > 20
    with pytest.raises(StorageError, match="cannot be written"):
        inspect_media(photos, sheet=tmp_path / "sheet.nothing")


def test_a_contact_sheet_is_spread_over_all_that_there_is() -> None:
    seen: list[int] = []

    def make(number: int) -> int:
        seen.append(number)
        return number

    spread: Spread[int] = Spread(8)
    for number in range(1000):
        spread.offer(partial(make, number))
    some = spread.some(8)
    assert len(some) == 8
    assert np.all(np.abs(np.diff(some) - 125) <= 64)
    assert len(seen) < 8 * 10  # what is passed over is not made
    few: Spread[int] = Spread(8)
    for number in range(5):
        few.offer(partial(make, number))
    assert few.some(8) == [0, 1, 2, 3, 4]


def test_labels_take_turns_and_the_common_ones_fill_the_sheet() -> None:
    thumbnails = Thumbnails()
    for number in range(60):
        thumbnails.offer("often", np.full((4, 4, 1), number, np.uint8))
    for number in (200, 210):
        thumbnails.offer("seldom", np.full((4, 4, 1), number, np.uint8))
    shown = [int(pixels[0, 0, 0]) for pixels in thumbnails.mixed(10)]
    assert len(shown) == 10
    assert shown[1] == 200
    assert shown[3] == 210
    often = [shade for shade in shown if shade < 100]
    assert often == sorted(often)
    assert often[-1] > 45


def test_a_long_part_is_sampled(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMINED", 3)
    train, _ = inspect_media(photos).parts
    assert (train.items, train.sampled) == (3, True)
    assert "sampled: all figures are of the first 3 pictures" in str(inspect_media(photos))


def test_what_tables_say_and_what_belongs_together_is_told(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    rows = "".join(f"{number}.png\ta picture of {number} things\tx{number % 2}\n" for number in range(3))
    (tmp_path / "captions.tsv").write_text(f"file\tcaption\tkind\n{rows}")
    found = inspect_media(tmp_path)
    assert found.columns == ("caption", "kind")
    assert found.pairs == "3, pictures in file and text in caption"
    assert "known of each: caption, kind\npairs: 3, pictures in file and text in caption" in str(found)


def test_where_labels_outnumber_the_places_the_sheet_is_spread_over_all() -> None:
    thumbnails = Thumbnails()
    for number in range(200):
        thumbnails.offer(f"caption {number}", np.full((4, 4, 1), number, np.uint8))
    shown = [int(pixels[0, 0, 0]) for pixels in thumbnails.mixed(32)]
    assert len(shown) == 32
    assert shown[0] == 0
    assert shown[-1] > 180
