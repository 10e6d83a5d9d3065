"""Rows of which two things are read: where both stand, what is the label, what cannot be used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data.cutting import PictureCut
from headwater.data.labelled_pairs import read_labelled_pairs
from headwater.data.pair_cut import PairCut
from headwater.data.splits import content_digest
from headwater.errors import BadDataError, MissingInputError

SHOP = PairCut(("image", "text"), (PictureCut(8, 4), None))
ROWS = (
    "photo\ttitle\tdetails\tprice\tkind",
    "0.png\ta red bicycle\tfor children, nearly new\t40\tsport",
    "1.png\ta blue lamp\tfor the table, with a bulb\t12\thome",
    "2.png\ta green ball\tfor the beach, made of foam\t3\tsport",
    "3.png\ta white chair\tfor the garden, of wood\t25\thome",
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    for number in range(4):
        shade = np.full((8, 8, 3), 20 + 50 * number, np.uint8)
        Image.fromarray(shade).save(tmp_path / f"{number}.png")
    return write(tmp_path / "goods.tsv", *ROWS)


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def test_both_sides_of_a_row_stand_beside_its_label(shop: Path) -> None:
    found = read_labelled_pairs(shop, cut=SHOP, label="kind", split="train")
    assert found.label_counts() == {"sport": 2, "home": 2}
    assert found.text_columns == ("title", "details")
    assert found.facts["not_read"] == ["price"]
    first = found.examples[0]
    assert first.both is not None
    assert isinstance(first.both.first, np.ndarray)
    assert first.both.first.shape == (8, 8, 3)
    assert (first.both.first == 20).all()
    assert first.both.second == "a red bicycle\nfor children, nearly new"  # several texts are read as one
    assert first.texts == (first.both.second,)
    assert len(first.both.media) == 1
    again = read_labelled_pairs(shop, cut=PairCut.from_dict(found.facts["cut"]), label="kind", split="test")
    assert [row.label for row in again.examples] == [row.label for row in found.examples]


def test_named_columns_are_read_and_a_column_that_is_the_label_is_no_text(shop: Path) -> None:
    titles = SHOP.asking(("title",))
    assert read_labelled_pairs(shop, cut=titles, label="kind").examples[1].texts == ("a blue lamp",)
    named = read_labelled_pairs(shop, cut=SHOP, label="details", split="train")
    assert named.text_columns == ("title",)
    assert named.examples[0].label == "for children, nearly new"


def test_the_label_is_found_by_its_name_or_because_nothing_else_is_left(shop: Path) -> None:
    with pytest.raises(BadDataError, match="price, kind are known of each pair; say which"):
        read_labelled_pairs(shop, cut=SHOP)
    with pytest.raises(BadDataError, match='no column "sort"; the columns are photo, title, details'):
        read_labelled_pairs(shop, cut=SHOP, label="sort")
    alone = write(shop.parent / "alone.tsv", *(row.rpartition("\t")[0] for row in ROWS))
    assert read_labelled_pairs(alone, cut=SHOP).label_column == "price"
    renamed = write(shop.parent / "named.tsv", ROWS[0].replace("kind", "Category"), *ROWS[1:])
    assert read_labelled_pairs(renamed, cut=SHOP).label_column == "Category"


def test_a_row_that_cannot_be_used_is_named_and_the_rest_goes_on(shop: Path) -> None:
    (shop.parent / "1.png").write_bytes(b"no picture")
    rows = [*ROWS, "9.png\ta thing\tthat is nowhere\t1\thome", "0.png\ta twin\tof the bicycle\t1\t"]
    table = write(shop.parent / "some.tsv", *rows, "0.png\t\t\t2\tsport")
    found = read_labelled_pairs(table, cut=SHOP, label="kind", every_part=True)
    assert [row.row for row in found.examples] == [1, 3, 4]
    lost = {problem.row: (problem.reason, problem.detail) for problem in found.problems.first()}
    assert lost[2] == ("no picture", str(shop.parent / "1.png"))
    assert lost[5] == ("no such file", "9.png")
    assert lost[6][0] == "empty label"
    assert lost[7][0] == "empty text"
    assert all(problem.path == str(table) for problem in found.problems.first())
    unlabelled = read_labelled_pairs(table, cut=SHOP, need_labels=False, every_part=True)
    assert [row.row for row in unlabelled.examples] == [1, 3, 4, 6]
    with pytest.raises(BadDataError, match="none of 1 files is a picture that can be read"):
        read_labelled_pairs(write(shop.parent / "none.tsv", ROWS[0], ROWS[2]), cut=SHOP, label="kind")


def test_what_is_read_is_no_label(shop: Path) -> None:
    for label in ("photo", "title"):
        with pytest.raises(BadDataError, match="cannot be read and be the label at once"):
            read_labelled_pairs(shop, cut=SHOP.asking(("title",)), label=label)
    few = write(shop.parent / "few.tsv", "photo\ttitle", *(row.rsplit("\t", 3)[0] for row in ROWS[1:]))
    with pytest.raises(BadDataError, match="no column is left"):
        read_labelled_pairs(few, cut=SHOP)
    priced = write(
        shop.parent / "priced.tsv",
        "photo\ttitle\tcost",
        *(f"{number % 4}.png\tthe thing of number {number}\t{number / 3:.2f}" for number in range(40)),
    )
    with pytest.raises(BadDataError, match="a quantity and not a class"):
        read_labelled_pairs(priced, cut=SHOP)


def test_a_test_table_without_labels_does_not_stand_in_the_way(shop: Path) -> None:
    shop.rename(shop.parent / "train.tsv")
    write(shop.parent / "test.tsv", *(row.rsplit("\t", 2)[0] for row in ROWS))
    found = read_labelled_pairs(shop.parent, cut=SHOP, label="kind", split="train")
    assert len(found) == 4
    with pytest.raises(BadDataError, match='there is no column "kind"'):
        read_labelled_pairs(shop.parent, cut=SHOP, label="kind", split="test")


def test_another_column_may_name_the_files_of_a_table_that_is_asked_about(shop: Path) -> None:
    trained = read_labelled_pairs(shop, cut=SHOP, label="kind").facts["cut"]
    other = write(
        shop.parent / "asked.tsv", "picture\ttitle\tdetails", *(row.rsplit("\t", 2)[0] for row in ROWS[1:])
    )
    with pytest.raises(BadDataError, match='there is no column "photo"'):
        read_labelled_pairs(other, cut=PairCut.from_dict(trained), need_labels=False)
    remembered = replace(PairCut.from_dict(trained), remembered=True)
    assert len(read_labelled_pairs(other, cut=remembered, need_labels=False)) == 4


def test_many_broken_files_are_all_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    for number in range(33):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"{number}.png")
        if number > 2:
            (tmp_path / f"{number}.png").write_bytes(b"broken")
    rows = [f"{number}.png\tthe thing of number {number}" for number in range(33)]
    found = read_labelled_pairs(
        write(tmp_path / "many.tsv", "photo\ttitle", *rows), cut=SHOP, need_labels=False, every_part=True
    )
    assert len(found) == 3
    lost = found.problems.first(100)
    assert [problem.row for problem in lost] == list(range(4, 34))
    assert all(problem.detail.endswith(f"{problem.row - 1}.png") for problem in lost)


def test_what_is_said_of_pictures_does_not_decode_them_again(
    shop: Path,
) -> None:
    read_labelled_pairs(shop, cut=SHOP, label="kind")
    kept = {path: path.stat().st_mtime_ns for path in (shop.parent / "cache").rglob("things.npy")}
    shop.write_text(shop.read_text().replace("a red bicycle", "a red cycle"))
    found = read_labelled_pairs(shop, cut=SHOP, label="price")
    assert found.examples[0].texts[0].startswith("a red cycle")
    assert {path: path.stat().st_mtime_ns for path in (shop.parent / "cache").rglob("things.npy")} == kept
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(shop.parent / "0.png")
    both = read_labelled_pairs(shop, cut=SHOP, label="kind").examples[0].both
    assert both is not None
    assert isinstance(both.first, np.ndarray)
    assert (both.first == 9).all()


def test_numbers_are_numbers(shop: Path) -> None:
    table = write(shop.parent / "prices.tsv", *ROWS, "0.png\ta thing\tthat is priceless\tmuch\thome")
    found = read_labelled_pairs(table, cut=SHOP, label="price", labels="number")
    assert [row.label for row in found.examples] == ["40", "12", "3", "25"]
    assert found.problems.by_reason() == {"label is not a number": 1}


def test_a_column_says_which_part_a_row_is_of(shop: Path) -> None:
    parts = ("train", "train", "test", "test")
    rows = [f"{row}\t{part}" for row, part in zip(ROWS[1:], parts, strict=True)]
    table = write(shop.parent / "parts.tsv", f"{ROWS[0]}\tsplit", *rows)
    for split in ("train", "test"):
        found = read_labelled_pairs(table, cut=SHOP, label="kind", split=split)
        assert [row.row for row in found.examples] == ([1, 2] if split == "train" else [3, 4])
        assert "split" not in found.facts["not_read"]
    with pytest.raises(MissingInputError, match="no validation part in"):
        read_labelled_pairs(table, cut=SHOP, label="kind", split="validation")


def test_pairs_without_a_table_have_no_labels(shop: Path) -> None:
    shop.unlink()
    for number in range(4):
        (shop.parent / f"{number}.txt").write_text(f"the picture of number {number}")
    with pytest.raises(BadDataError, match="stand in no table"):
        read_labelled_pairs(shop.parent, cut=SHOP)


def test_a_pair_is_known_by_both_of_its_sides(shop: Path) -> None:
    rows = (ROWS[0], ROWS[1], ROWS[1], "0.png\ta blue lamp\tfor the table, with a bulb\t12\thome", ROWS[2])
    found = read_labelled_pairs(write(shop.parent / "twins.tsv", *rows), cut=SHOP, label="kind")
    digests = [content_digest(row) for row in found.examples]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_sound_and_a_row_of_an_array_are_a_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    from headwater.data.cutting import SoundCut

    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    digits = np.arange(4, dtype=np.uint8)[:, None, None] * np.full((4, 8, 8), 60, np.uint8)
    np.savez(tmp_path / "digits.npz", x_train=digits)
    for number in range(3):
        tone = np.sin(np.arange(4_000) * 0.1 * (number + 1))
        soundfile.write(tmp_path / f"{number}.wav", tone, 8_000)
    table = write(tmp_path / "both.tsv", "wav\trow\tsum", "0.wav\t3\t3", "2.wav\t1\t3", "1.wav\t0\t1")
    cut = PairCut(("audio", "image"), (SoundCut(seconds=0.5), PictureCut(8, 4)))
    found = read_labelled_pairs(table, cut=cut, label="sum")
    assert found.text_columns == ()
    shades = [
        row.both.second.max() for row in found.examples if row.both and not isinstance(row.both.second, str)
    ]
    assert shades == [180, 60, 0]
    assert all(row.texts == () and row.both and len(row.both.media) == 2 for row in found.examples)
