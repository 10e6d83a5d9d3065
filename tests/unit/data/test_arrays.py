"""What the arrays of an npz file hold, by their shapes and names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headwater.data import Problems, find_sources
from headwater.data.arrays import arrays_of, heads
from headwater.data.cutting import PictureCut, watched
from headwater.data.media_tables import modality_of
from headwater.errors import MissingInputError


def saved(folder: Path, name: str, shape: tuple[int, ...], file: str = "some.npz") -> Path:
    arrays: dict[str, Any] = {name: np.zeros(shape, np.uint8)}
    np.savez(folder / file, **arrays)
    return folder / file


@pytest.mark.parametrize(
    ("name", "shape", "what"),
    [
        ("x", (20, 16, 16), "pictures"),
        ("x", (20, 16, 16, 2), "pictures"),
        ("images", (20, 16, 16, 5), "pictures"),
        ("x_train", (20, 16, 16, 13), "pictures"),
        ("pictures", (20, 9, 9, 200), "pictures"),
        ("x", (20, 9, 16, 16), "clips"),
        ("frames", (20, 16, 16, 8), "clips"),
        ("frames", (20, 16, 16, 3), "pictures"),
        ("x", (20, 20, 64, 64), "clips"),
        ("x", (20, 8, 16, 16, 3), "clips"),
    ],
)
def test_shapes_and_names_tell_pictures_from_clips(
    name: str, shape: tuple[int, ...], what: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, name, shape)
    assert [kind for kind in ("pictures", "clips") if arrays_of(path, kind)] == [what]
    assert modality_of(path) == {"pictures": "image", "clips": "video"}[what]


def test_the_name_of_the_file_tells_where_the_array_has_none(tmp_path: Path) -> None:
    path = saved(tmp_path, "x", (20, 16, 16, 8), "clips-train.npz")
    assert list(arrays_of(path, "clips")) == ["x"]


def test_a_guess_is_told_and_a_name_is_none(tmp_path: Path) -> None:
    guess = heads(saved(tmp_path, "x", (20, 16, 16, 5)))["x"].guess
    assert guess == "(20, 16, 16, 5) read as pictures of 5 channels; if not, name the array clips"
    assert not heads(saved(tmp_path, "images", (20, 16, 16, 5)))["images"].guess


@pytest.mark.parametrize("shape", [(20, 8, 16, 16, 5), (20, 16, 16, 3, 3, 3), (20, 2, 2)])
def test_an_array_that_is_neither_is_named_with_its_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = saved(tmp_path, "x", shape)
    assert modality_of(path) == "image"
    with pytest.raises(
        MissingInputError, match=r"no array of pictures or clips \(x \(20, .*expected \(pictures,"
    ):
        find_sources(path, modality="image")


def test_pictures_of_other_channels_than_most_are_left_out_and_named(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz", images=np.zeros((4, 8, 8, 5), np.uint8), photos=np.zeros((3, 8, 8, 6), np.uint8)
    )
    sources, problems = find_sources(tmp_path, modality="image"), Problems()
    cut = PictureCut().fitted(sources)
    assert cut.told() == "8 × 8, 5 channels"
    assert len(list(watched(sources, problems, None, cut=cut))) == 4
    assert problems.by_reason() == {"of other channels": 3}


def test_every_channel_is_resized_by_itself() -> None:
    picture = np.random.default_rng(0).integers(256, size=(20, 12, 5), dtype=np.uint8)
    found = PictureCut(6, 3, 5).array(picture)
    alone = [PictureCut(6, 3, 1).array(picture[..., [channel]]) for channel in range(5)]
    assert np.array_equal(found, np.concatenate(alone, axis=2))
