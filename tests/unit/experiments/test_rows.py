"""The borders of the gain experiment: nobody learns from what somebody is judged on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data.cutting import PictureCut
from headwater.data.pair_cut import PairCut
from headwater.data.splits import Fingerprints
from headwater.errors import BadDataError
from headwater.experiments.rows import digests_of, gain_rows
from headwater.run.seen import Seen

NOUNS = ("harbour", "kitchen", "garden", "station", "library", "mountain", "bakery", "theatre")


def text(number: int) -> str:
    return f"the {NOUNS[number % 8]} was quiet on day {number} and the {NOUNS[number // 8 % 8]} even more so"


def table(path: Path, numbers: range | list[int], label: str | None = None) -> Path:
    rows = [f"{text(number)}\t{label or ('even' if number % 2 == 0 else 'odd')}" for number in numbers]
    path.write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return path


def test_train_validation_and_test_share_no_text(tmp_path: Path) -> None:
    train, test = table(tmp_path / "train.tsv", range(60)), table(tmp_path / "test.tsv", range(50, 80))
    rows = gain_rows(train, test, seen=None)
    learnt, checked, judged = (set(digests_of(part)) for part in (rows.train, rows.validation, rows.test))
    assert not learnt & judged
    assert not learnt & checked
    assert not checked & judged
    assert rows.leaks.dropped_train_rows == 10
    assert sum("10 training rows equal a test or validation row" in note for note in rows.notes) == 1
    assert len(learnt) + len(checked) == 50


def test_a_tenth_of_each_class_is_taken_out_to_choose_on(tmp_path: Path) -> None:
    rows = gain_rows(
        table(tmp_path / "train.tsv", range(60)), table(tmp_path / "test.tsv", range(100, 110)), seen=None
    )
    assert sorted(example.label or "" for example in rows.validation) == ["even"] * 3 + ["odd"] * 3


def test_a_validation_file_leaves_the_training_rows_alone(tmp_path: Path) -> None:
    rows = gain_rows(
        table(tmp_path / "train.tsv", range(60)),
        table(tmp_path / "test.tsv", range(100, 110)),
        seen=None,
        validation=table(tmp_path / "valid.tsv", range(70, 80)),
    )
    assert len(rows.train) == 60
    assert len(rows.validation) == 10


def test_test_rows_that_the_pool_holds_have_leaked(tmp_path: Path) -> None:
    pool = Fingerprints()
    pool.add_many([text(100), "something else entirely, long enough to count as a document of its own"])
    rows = gain_rows(
        table(tmp_path / "train.tsv", range(60)),
        table(tmp_path / "test.tsv", [100, 121]),
        seen=Seen(texts=[pool]),
    )
    assert rows.leaks.exact == (0,)
    assert 1 not in rows.leaks.rows


def test_a_label_that_no_training_row_has_is_left_out_and_said(tmp_path: Path) -> None:
    test = tmp_path / "test.tsv"
    test.write_text(f"text\tlabel\n{text(200)}\teven\n{text(201)}\tneither\n", encoding="utf-8")
    rows = gain_rows(table(tmp_path / "train.tsv", range(60)), test, seen=None)
    assert len(rows.test) == 1
    assert any(
        "1 rows of test.tsv carry labels that no training row has (neither)" in note for note in rows.notes
    )


def test_a_test_of_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="is it the same task"):
        gain_rows(
            table(tmp_path / "train.tsv", range(60)),
            table(tmp_path / "test.tsv", range(70, 80), "other"),
            seen=None,
        )


def test_rows_of_other_parts_that_the_pool_holds_are_known_too(tmp_path: Path) -> None:
    pool = Fingerprints()
    pool.add_many([text(121), text(140), text(141)])
    rows = gain_rows(
        table(tmp_path / "train.tsv", range(60)),
        table(tmp_path / "test.tsv", [100, 101]),
        seen=Seen(texts=(pool,)),
        validation=table(tmp_path / "valid.tsv", [120, 121]),
        shifted=table(tmp_path / "shifted.tsv", [140, 141, 142, 143, 145, 147]),
    )
    assert rows.leaks.rows == ()
    assert rows.shifted_leaks.rows == (0, 1)
    assert any(
        note.startswith("1 of 2 validation rows were in what the model was trained on before")
        for note in rows.notes
    )


def test_validation_rows_that_are_judged_on_are_dropped(tmp_path: Path) -> None:
    rows = gain_rows(
        table(tmp_path / "train.tsv", range(60)),
        table(tmp_path / "test.tsv", range(100, 110)),
        seen=None,
        validation=table(tmp_path / "valid.tsv", range(105, 120)),
    )
    assert len(rows.validation) == 10
    assert not set(digests_of(rows.validation)) & set(digests_of(rows.test))
    assert "5 validation rows equal a test row and were dropped" in rows.notes


def test_parts_that_are_empty_once_they_are_apart_are_named(tmp_path: Path) -> None:
    train, test = table(tmp_path / "train.tsv", range(60)), table(tmp_path / "test.tsv", range(100, 110))
    with pytest.raises(BadDataError, match="none of its 60 rows is left: all equal a test or validation row"):
        gain_rows(train, train, seen=None)
    with pytest.raises(BadDataError, match=r"no row is left to choose settings on; .* --validation FILE"):
        gain_rows(table(tmp_path / "two.tsv", range(2)), test, seen=None)


def goods(folder: Path, name: str, rows: list[tuple[int, str, str]], more: str = "") -> Path:
    """Rows of a picture of that shade, a text and a kind."""
    lines = [f"photo\ttitle\tkind{more}"]
    for shade, title, kind in rows:
        Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(folder / f"{shade}.png")
        lines.append(f"{shade}.png\t{title}\t{kind}{chr(9) + 'wrong' if more else ''}")
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


SHOP = PairCut(("image", "text"), (PictureCut(8, 4, 3), None))


def test_pairs_share_no_picture_and_keep_the_label_of_training(cache: object, tmp_path: Path) -> None:
    kinds = ("sport", "home")
    train = goods(tmp_path, "train.tsv", [(n, f"the good thing {n}", kinds[n % 2]) for n in range(40)])
    test = goods(
        tmp_path,
        "test.tsv",
        [(n, f"another title of {n}", kinds[n % 2]) for n in (3, 4, *range(100, 110))],
        more="\tlabel",  # a surer name for a label than that of the training file
    )
    rows = gain_rows(train, test, seen=Seen(digests=frozenset()), cut=SHOP)
    assert rows.names == ("home", "sport")
    assert {row.label for row in rows.test} == set(kinds)
    assert rows.leaks.dropped_train_rows == 2
    assert any("share what is seen or heard with a test" in note for note in rows.notes)
    assert rows.text == ("title",)
    assert rows.picture(0)[:4] == b"\x89PNG"
    seen = Seen(digests=frozenset(rows.test[5].both.media if rows.test[5].both else ()))
    assert gain_rows(train, test, seen=seen, cut=SHOP).leaks.exact == (5,)


def test_rows_of_one_picture_are_drawn_for_validation_together(cache: object, tmp_path: Path) -> None:
    asked = [(n // 4, f"question {n % 4} of {n}", ("yes", "no")[n % 2]) for n in range(160)]
    rows = gain_rows(
        goods(tmp_path, "train.tsv", asked),
        goods(tmp_path, "test.tsv", [(200, "a question", "yes"), (201, "a question", "no")]),
        seen=None,
        cut=SHOP,
    )
    shown = [{row.both.media for row in part if row.both} for part in (rows.train, rows.validation)]
    assert rows.validation
    of_label = [
        {(row.label, row.both.media) for row in part if row.both} for part in (rows.train, rows.validation)
    ]
    assert not of_label[0] & of_label[1]
    assert len(shown[1]) < len(shown[0])
