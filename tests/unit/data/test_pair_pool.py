"""Pairs decoded once: held out, without repetitions, the same batches at any time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headwater.data.cutting import ClipCut, FlowCut, PictureCut, cut_like, cut_of
from headwater.data.cutting.flow import STEPS_A_PIXEL, flow
from headwater.data.kinds import Side
from headwater.data.pair_batches import PairBatches, PictureSide, TextSide
from headwater.data.pair_items import Cuts
from headwater.data.pair_pool import PairPool, PairReading, build_pair_pool
from headwater.data.pair_rows import Pairing
from headwater.data.picture_batches import Views
from headwater.data.readers.clips import Clip
from headwater.data.sequencers import Patches, Sides, Tokenizer
from headwater.data.sequencers.patches import STILL, frames_of
from headwater.errors import BadDataError


def made(folder: Path, names: range, table: str) -> Path:
    rng = np.random.default_rng(names.start)
    folder.mkdir(exist_ok=True)
    for number in names:
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    lines = [f"{number}.png\tthe picture with the number {number}" for number in names]
    path = folder / table
    path.write_text("\n".join(["image\tcaption", *lines]) + "\n")
    return path


def cuts(sides: tuple[Side, Side]) -> Cuts:
    assert sides == ("image", "text")
    return PictureCut(), None


def pool(tmp_path: Path, *paths: Path, hold_out: tuple[Path, ...] = ()) -> PairPool:
    return build_pair_pool(
        paths, reading=PairReading(Pairing.of(None, None), cuts), hold_out=hold_out, cache=tmp_path / "cache"
    )


def test_pairs_are_kept_and_found_again(tmp_path: Path) -> None:
    table = made(tmp_path / "a", range(150), "train.tsv")
    first = pool(tmp_path, table)
    assert len(first.train) + len(first.validation) == 150
    assert len(first.validation) > 0
    again = pool(tmp_path, table)
    assert again.facts == first.facts
    assert np.array_equal(again.train, first.train)
    for picture, text in first.train.tolist():
        name = str(first.items[1][text]).rpartition(" ")[2]
        assert np.array_equal(first.items[0][picture], np.asarray(Image.open(tmp_path / "a" / f"{name}.png")))


def test_every_pair_knows_its_row(tmp_path: Path) -> None:
    table = made(tmp_path / "a", range(40), "train.tsv")
    with table.open("a") as file:
        file.write(
            "3.png\tthe picture with the number 3\n9.png\tanother name of the picture with the number 9\n"
        )
    for _ in range(2):  # made, and found again
        found = pool(tmp_path, table)
        rows = {
            str(found.items[1][text]): found.place(pair)
            for pair, (_, text) in enumerate(found.train.tolist())
        }
        places = {
            f"the picture with the number {number}": f"{table} row {number + 1}" for number in range(40)
        }
        places["another name of the picture with the number 9"] = f"{table} row 42"
        assert rows == {text: places[text] for text in rows}
        assert len(rows) > 30


def test_pairs_of_held_out_pictures_are_left_out(tmp_path: Path) -> None:
    table = made(tmp_path / "a", range(40), "train.tsv")
    test = tmp_path / "a" / "test.tsv"
    test.write_text("image\tcaption\n3.png\tanother text\n5.png\tone more\n")
    found = pool(tmp_path, table, hold_out=(test,))
    assert found.facts["left_out"]["by_reason"] == {"belongs to a held-out pair": 2}
    texts = [str(found.items[1][text]) for text in [*found.train[:, 1], *found.validation[:, 1]]]
    assert not any(text.endswith((" 3", " 5")) for text in texts)
    folder = pool(tmp_path, tmp_path / "a")  # test.tsv is a test part by its name
    assert folder.facts["left_out"]["by_reason"] == {"belongs to a held-out pair": 2}


def test_what_is_held_out_may_lie_elsewhere(tmp_path: Path) -> None:
    table = made(tmp_path / "a", range(40), "train.tsv")
    other = made(tmp_path / "b", range(100, 105), "other.tsv")
    (tmp_path / "a" / "7.png").write_bytes((tmp_path / "b" / "102.png").read_bytes())
    found = pool(tmp_path, table, hold_out=(other,))
    assert found.facts["left_out"]["by_reason"] == {"belongs to a held-out pair": 1}
    folder = pool(tmp_path, table, hold_out=(tmp_path / "b",))
    assert folder.facts["left_out"]["by_reason"] == {"belongs to a held-out pair": 1}
    (tmp_path / "b" / "102.png").write_bytes((tmp_path / "a" / "9.png").read_bytes())
    again = pool(tmp_path, table, hold_out=(other,))  # other content, other pool
    assert again.facts["key"] != found.facts["key"]
    for path in (tmp_path / "b").glob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(BadDataError, match="none of the held-out pairs can be read"):
        pool(tmp_path, table, hold_out=(other,))


def test_clips_held_out_are_those_of_the_file_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (60, 4, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "train.npz", frames=frames)
    held = tmp_path / "held.npz"
    np.savez(held, frames=np.concatenate([frames[7:8], frames[:3] // 2]))
    reading = PairReading(
        Pairing.of(None, None),
        lambda _: (
            ClipCut(frames=4, seconds=0.0, side=16, patch=8),
            FlowCut(frames=4, seconds=0.0, side=16, patch=8),
        ),
    )
    found = build_pair_pool(
        [tmp_path / "train.npz"], reading=reading, hold_out=[held], cache=tmp_path / "cache"
    )
    assert found.facts["left_out"]["by_reason"] == {"belongs to a held-out pair": 1}
    assert found.facts["left_out"]["rows"] == 60
    assert len(found.train) + len(found.validation) == 59


def test_what_judges_is_not_learnt_from(tmp_path: Path) -> None:
    made(tmp_path / "a", range(40), "train.tsv")
    judging = tmp_path / "a" / "validation.tsv"
    judging.write_text("image\tcaption\n3.png\tanother text\n5.png\tone more\n")
    found = pool(tmp_path, tmp_path / "a")
    assert len(found.validation) == 2
    assert not set(found.train[:, 0]) & set(found.validation[:, 0])


def test_batches_are_functions_of_seed_and_number(tmp_path: Path) -> None:
    found = pool(tmp_path, made(tmp_path / "a", range(40), "train.tsv"))
    patches, tokenizer = found.sides.first, found.sides.second
    assert isinstance(patches, Patches)
    assert isinstance(tokenizer, Tokenizer)
    pictures = PictureSide(np.asarray(found.items[0]), patches, Views(shift=0.2))
    texts = TextSide.of([str(text) for text in found.items[1]], tokenizer, 16)
    batches = PairBatches(pictures, texts, found.train, rows=8, seed=3, shown=True)
    for number in (0, 3, 9):
        one, two = batches.batch(number), batches.batch(number)
        assert torch.equal(one.inputs, two.inputs)
        assert one.targets is not None
        assert two.targets is not None
        assert torch.equal(one.targets, two.targets)
        assert one.labels is not None
        assert one.labels.tolist() == found.train[one.items.numpy()].tolist()
    seen = [
        item for batch in map(batches.batch, range(len(found.train) // 8)) for item in batch.items.tolist()
    ]
    assert len(seen) == len(set(seen))


def test_a_vocabulary_of_pairs_gives_its_end_another_number_than_two(tmp_path: Path) -> None:
    found = pool(tmp_path, made(tmp_path / "a", range(30), "train.tsv"))
    assert isinstance(found.sides.second, Tokenizer)
    assert found.sides.second.sep == 3
    found.sides.save(tmp_path)
    found.sides.second.save(tmp_path / "tokenizer.json")
    patches = found.sides.first
    assert isinstance(patches, Patches)
    words = {"rows": patches.rows, "columns": patches.columns, "side": patches.side, "channels": 3}
    assert Sides.load(tmp_path, words, None).digest == found.sides.digest


@pytest.mark.parametrize(("right", "down"), [(2, 0), (-1, 0), (0, 2), (1, -2)])
def test_flow_says_where_things_go(right: int, down: int) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(80, 80))
    blurred = np.real(
        np.fft.ifft2(np.fft.fft2(noise) * np.exp(-40 * np.add.outer(*[np.fft.fftfreq(80) ** 2] * 2)))
    )
    picture = ((blurred - blurred.min()) / np.ptp(blurred) * 255).astype(np.uint8)
    moved = np.roll(picture, (down, right), axis=(0, 1))
    found = np.median(flow(picture[8:-8, 8:-8], moved[8:-8, 8:-8]), axis=(0, 1))
    assert found == pytest.approx([right, down], abs=0.25)


def test_a_strip_of_movement_stands_still_where_nothing_moves() -> None:
    frames = np.zeros((8, 32, 32, 3), np.uint8)
    for number in range(4):
        frames[number, 8:20, 4 + 2 * number : 16 + 2 * number] = 200
    frames[4:] = frames[3]
    cut = FlowCut(frames=8, seconds=0.0, side=32, patch=8)
    strip = cut.array(Clip(frames, None))
    assert strip.shape == (4 * 32, 32, 4)
    moves = frames_of(strip[None], 4)[0]
    assert (moves[5:] == STILL).all()
    assert moves[1, 12:16, 10:14, 0].mean() > STILL + STEPS_A_PIXEL  # more than a pixel to the right
    patches = cut.patches(strip[None])
    assert patches.film is not None
    assert patches.film.flow
    assert cut_of(cut.to_dict()) == cut
    assert isinstance(cut_like(patches), FlowCut)
    assert patches.shown(strip[None]).shape == (1, 32, 8 * 32, 3)
