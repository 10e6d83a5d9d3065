"""Arrays that are written one by one make the file that np.save makes of all of them."""

from pathlib import Path

import numpy as np
import pytest

from headwater.data.array_file import Apart, ArrayFile, Chosen
from headwater.data.cutting.cut import measured


@pytest.mark.parametrize("count", [1, 9, 10, 1_234])
def test_the_bytes_are_those_of_all_at_once(count: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(count, 3, 4, 2), dtype=np.uint8)
    with ArrayFile(tmp_path / "grown.npy") as file:
        for picture in pixels:
            file.append(picture[::-1][::-1])
    np.save(tmp_path / "whole.npy", pixels)
    assert (tmp_path / "grown.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert len(file) == count
    assert np.array_equal(file.mapped(), pixels)


def test_no_array_at_all_has_a_shape_too(tmp_path: Path) -> None:
    with (
        ArrayFile(tmp_path / "none.npy") as none,
        ArrayFile(tmp_path / "like.npy") as like,
        ArrayFile(tmp_path / "some.npy") as some,
    ):
        some.append(np.zeros((3, 4, 2), np.uint8))
        like.none_like(some)
    assert none.mapped().shape == (0, 1, 1, 1)
    np.save(tmp_path / "whole.npy", np.zeros((0, 3, 4, 2), np.uint8))
    assert (tmp_path / "like.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert len(like) == 0


def test_another_shape_is_refused(tmp_path: Path) -> None:
    with ArrayFile(tmp_path / "some.npy") as file:
        file.append(np.zeros((3, 4, 2), np.uint8))
        with pytest.raises(AssertionError, match="one shape"):
            file.append(np.zeros((4, 3, 2), np.uint8))


def test_arrays_that_lie_apart_are_measured_as_those_that_lie_together() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(70, 3, 4, 2), dtype=np.uint8)
    some = np.flatnonzero(np.arange(70) % 3)
    together, apart, chosen = pixels[some], Apart([pixels[number] for number in some]), Chosen(pixels, some)
    for arrays in (apart, chosen):
        assert (len(arrays), arrays.shape) == (len(together), together.shape)
        assert np.array_equal(arrays[5:40:7], together[5:40:7])
        assert measured(arrays, 1, 1, 2) == measured(together, 1, 1, 2)
