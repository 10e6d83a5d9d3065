"""A pool of pictures: one size, nothing twice, nothing that judges."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headwater.data import media_pool as module
from headwater.data.cutting import PictureCut, fitted_patch, square
from headwater.data.cutting import pictures as picture_cut
from headwater.data.cutting.pictures import resized
from headwater.data.likeness import nearly_equal, sketch_of
from headwater.data.media_pool import build_media_pool
from headwater.data.mixture import Turns
from headwater.data.picture_batches import PictureBatches
from headwater.data.readers.media import digest_of
from headwater.errors import BadDataError, MissingInputError, UsageError


def draw(path: Path, seed: int, size: tuple[int, int] = (24, 16), *, grey: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0]) if grey else (size[1], size[0], 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(256, size=shape, dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(120):
        draw(tmp_path / "photos" / f"{number:03}.png", number, grey=number % 40 == 3)
    draw(tmp_path / "photos" / "again.png", 5)
    draw(tmp_path / "photos" / "test" / "secret.png", 999)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no")
    return tmp_path / "photos"


def test_pictures_become_squares_of_one_size_without_repetitions(photos: Path, tmp_path: Path) -> None:
    held_out = draw(tmp_path / "held" / "out.png", 7)
    pool = build_media_pool([photos], hold_out=[held_out], cache=tmp_path / "cache")
    judging = pool.facts["validation"]["items"]
    assert pool.train.shape[1:] == (16, 16, 3)
    assert (len(pool.train) + judging, len(pool.validation)) == (119, judging)
    assert pool.facts["left_out"]["by_reason"] == {
        "exact duplicate": 1,
        "equals a held-out picture": 1,
        "no picture": 1,
    }
    assert pool.digests.shape == (len(pool.train),)
    assert digest_of(np.asarray(Image.open(held_out))) not in pool.digests
    assert (pool.patches.side, pool.patches.count, pool.patches.channels) == (2, 64, 3)
    assert pool.patches.mean == pytest.approx([0.5] * 3, abs=0.03)


def test_every_picture_knows_its_file(photos: Path, tmp_path: Path) -> None:
    for _ in range(2):  # made, and found again
        pool = build_media_pool([photos], cut=PictureCut(side=16), cache=tmp_path / "cache")
        for item in (0, 3, len(pool.train) - 1):
            path, _, row = pool.place(item).partition(" row ")
            assert digest_of(np.atleast_3d(np.asarray(Image.open(path)))) == pool.digests[item]
            assert row == "1"


def test_pictures_of_several_paths_are_counted_and_mixed_by_weight(photos: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for number in range(500, 530):
        draw(few / f"{number}.png", number)
    draw(few / "known.png", 8)  # which the other path holds as well
    pool = build_media_pool([photos, few], cache=tmp_path / "cache")
    first, second = pool.facts["items_of_paths"]
    assert first + second == len(pool.train) == pool.facts["items"]
    assert first > 100
    assert 25 < second <= 30
    turns = Turns([first, second], [0.2, 0.8])
    assert (turns.order(np.arange(1000), 0, 0) >= first).sum() == 800
    batches = PictureBatches(pool.train, pool.patches, rows=50, seed=0, turns=turns)
    items = np.concatenate([batches.batch(number).items.numpy() for number in range(20)])
    assert (items >= first).sum() == pytest.approx(800, rel=0.03)
    assert len(build_media_pool([few], cache=tmp_path / "cache").facts["items_of_paths"]) == 1
    with pytest.raises(UsageError, match="at least one document, picture"):
        Turns([first, 0], [1, 1])


def photograph(seed: int, side: int = 96) -> Image.Image:
    """Soft shapes, as photographs have them."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(256, size=(6, 6, 3), dtype=np.uint8))
    return coarse.resize((side, side), Image.Resampling.BICUBIC)


def test_a_held_out_picture_of_another_size_and_encoding_never_enters(tmp_path: Path) -> None:
    for folder in ("photos", "held", "again"):
        (tmp_path / folder).mkdir()
    for seed in range(40):
        photograph(seed).save(tmp_path / "photos" / f"{seed}.png")
    photograph(7).resize((120, 120), Image.Resampling.BICUBIC).save(tmp_path / "held" / "a.jpg", quality=70)
    photograph(8).save(tmp_path / "held" / "b.jpg", quality=50)
    photograph(99).save(tmp_path / "held" / "c.jpg")
    pool = build_media_pool([tmp_path / "photos"], hold_out=[tmp_path / "held"], cache=tmp_path / "cache")
    assert pool.facts["left_out"]["by_reason"] == {"nearly equals a held-out picture": 2}
    assert {problem["path"].rsplit("/")[-1] for problem in pool.facts["left_out"]["first"]} == {
        "7.png",
        "8.png",
    }
    assert len(pool.train) == len(pool.digests) == 38 - len(pool.validation)


def test_what_looks_different_somewhere_is_another_picture() -> None:
    page = np.full((64, 64, 1), 250, np.uint8)
    written = page.copy()
    written[20:24, 8:40] = 30  # a line of writing
    noisy = np.clip(page.astype(int) + np.random.default_rng(0).integers(-8, 5, page.shape), 0, 255)
    sketches = np.stack([sketch_of(each) for each in (written, noisy.astype(np.uint8))])
    assert nearly_equal(sketches, sketch_of(page)[None]).tolist() == [False, True]


def test_a_second_look_decodes_nothing(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_media_pool([photos], cache=tmp_path / "cache")
    monkeypatch.setattr(module, "watched", lambda *_, **__: pytest.fail("read again"))
    second = build_media_pool([photos], cache=tmp_path / "cache")
    assert np.array_equal(first.train, second.train)
    assert first.facts == second.facts
    with pytest.raises(pytest.fail.Exception):
        build_media_pool([photos], cut=PictureCut(side=8), cache=tmp_path / "cache")


def test_named_parts_judge_and_test_parts_never_enter(tmp_path: Path) -> None:
    for part, seeds in (("train", range(6)), ("val", range(10, 13)), ("test", range(20, 22))):
        for seed in seeds:
            draw(tmp_path / part / f"{seed}.png", seed, (8, 8), grey=True)
    draw(tmp_path / "train" / "leak.png", 11, (8, 8), grey=True)
    pool = build_media_pool([tmp_path], cache=tmp_path / "cache")
    assert (len(pool.train), len(pool.validation)) == (6, 3)
    assert pool.facts["validation"]["how"] == "files named as validation parts"
    assert pool.train.shape[1:] == (8, 8, 1)
    alone = build_media_pool([tmp_path / "test" / "20.png"], cache=tmp_path / "cache")
    assert len(alone.train) == 1  # named by the user
    with pytest.raises(MissingInputError, match="belong to validation or test parts"):
        build_media_pool([tmp_path / "test"], cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("side", "patch"), [(28, 4), (32, 4), (64, 8), (224, 16), (8, 2), (30, 5), (13, 13), (7, 7)]
)
def test_the_patch_that_fits_a_side(side: int, patch: int) -> None:
    assert fitted_patch(side) == patch


@pytest.mark.parametrize(
    ("size", "side", "patch"), [(28, 28, 4), (64, 64, 8), (150, 144, 16), (213, 208, 16), (9, 8, 2)]
)
def test_the_side_is_chosen_so_that_few_patches_fill_it(
    size: int, side: int, patch: int, tmp_path: Path
) -> None:
    draw(tmp_path / "a.png", 0, (size + 3, size))
    pool = build_media_pool([tmp_path], cache=tmp_path / "cache")
    assert (pool.train.shape[1], pool.patches.side) == (side, patch)


def test_a_square_is_the_middle_and_grey_is_luminance() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = (255, 0, 0)
    found = square(pixels, 10, 1)
    assert found.shape == (10, 10, 1)
    assert (found == 76).all()
    assert square(pixels[..., :1], 5, 3).shape == (5, 5, 3)


def test_a_strip_of_a_pixel_is_not_brought_to_its_whole_length(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    def watched(pixels: Any, size: tuple[int, int], how: Any) -> Any:
        sizes.append(size)
        return resized(pixels, size, how)

    monkeypatch.setattr(picture_cut, "resized", watched)
    strip = np.zeros((6_000, 1, 3), np.uint8)
    strip[2_996:3_004] = 255  # all that is looked at
    assert (square(strip, 16, 3) == 255).all()
    assert sizes == [(16, 128)]


def test_what_cannot_be_a_pool_is_said(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 0)
    with pytest.raises(BadDataError, match="patches of 7 pixels do not fill a side of 16"):
        build_media_pool([tmp_path], cut=PictureCut(16, 7), cache=tmp_path / "cache")
    assert build_media_pool([tmp_path], cut=PictureCut(patch=7), cache=tmp_path / "cache").train.shape[
        1:
    ] == (
        14,
        14,
        3,
    )
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "b.png").write_bytes(b"nothing")
    with pytest.raises(BadDataError, match="none of 1 files is a picture"):
        build_media_pool([tmp_path / "bad"], cache=tmp_path / "cache")
    with pytest.raises(BadDataError, match="no picture is left"):
        build_media_pool([tmp_path / "a.png"], hold_out=[tmp_path / "a.png"], cache=tmp_path / "cache")


def test_files_of_test_parts_are_passed_over_and_counted(tmp_path: Path) -> None:
    for number in range(6):
        draw(tmp_path / "album" / f"{'test drive ' if number > 3 else ''}{number}.png", number)
    pool = build_media_pool([tmp_path / "album"], cache=tmp_path / "cache")
    notes = pool.facts["left_out"]["notes"]
    assert notes == {"files of pictures passed over, which belong to test parts by their names": 2}
