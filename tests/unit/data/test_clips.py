"""Clips of every kind: what is decoded, what is refused, how they become film strips and patches."""

import io
import random
import struct
import zipfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from headwater.data import Problems
from headwater.data.cutting import ClipCut, cut_like, cut_of
from headwater.data.media_pool import build_media_pool
from headwater.data.media_tables import find_media, modality_of
from headwater.data.readers import clips as clips_reader
from headwater.data.readers.clips import MOST_KEPT, Clip, decoded_clip
from headwater.data.readers.media import read_media
from headwater.data.sequencers.patches import Patches, film_strip, frames_of, side_by_side
from headwater.errors import BadDataError
from headwater.nn.positions import grid_sinusoids

CODECS = {"mp4": "mpeg4", "avi": "mpeg4", "mkv": "ffv1", "gif": "gif"}
MUTATIONS = 25
ALL_MUTATIONS = 200


def a_film(frames: int = 8, height: int = 16, width: int = 24) -> np.ndarray:
    """A white square that moves to the right by two pixels a frame."""
    film = np.zeros((frames, height, width, 3), np.uint8)
    for number in range(frames):
        left = 2 * number % (width - 4)
        film[number, 4:10, left : left + 6] = 255
    return film


def in_format(film: np.ndarray, kind: str, begins: Sequence[float] | None = None) -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format="matroska" if kind == "mkv" else kind) as container:
        video: Any = container.add_stream(CODECS[kind], rate=10)
        video.height, video.width = film.shape[1:3]
        video.pix_fmt = {"gif": "rgb8", "mkv": "bgr0"}.get(kind, "yuv420p")
        video.bit_rate = 4_000_000
        if begins is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(film):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if begins is not None:
                frame.pts, frame.time_base = round(1000 * begins[number]), Fraction(1, 1000)
            for packet in video.encode(frame):
                container.mux(packet)
        for packet in video.encode():
            container.mux(packet)
    return stream.getvalue()


@pytest.mark.parametrize("kind", CODECS)
def test_movement_comes_back_from_every_format(kind: str) -> None:
    found = decoded_clip(io.BytesIO(in_format(a_film(), kind)))
    assert found.frames.shape == (8, 16, 24, 3)
    assert found.rate == pytest.approx(10)
    middles = [np.average(np.arange(24), weights=frame[4:10].mean(axis=(0, 2))) for frame in found.frames]
    assert np.allclose(np.diff(middles), 2, atol=0.4)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x00" * 100])
def test_what_is_no_clip_says_why(content: bytes) -> None:
    with pytest.raises(BadDataError, match="no clip"):
        decoded_clip(io.BytesIO(content))


def test_of_a_long_clip_frames_at_equal_distances_are_kept() -> None:
    film = np.repeat(np.arange(MOST_KEPT + 100, dtype=np.uint16)[:, None, None, None] // 4, 8, axis=1)
    film = np.broadcast_to(film, (len(film), 8, 8, 3)).astype(np.uint8)
    found = decoded_clip(io.BytesIO(in_format(film, "mkv")))
    assert len(found.frames) == len(film[::2])
    assert np.array_equal(found.frames[:, 0, 0, 0], film[::2, 0, 0, 0])
    assert found.rate == pytest.approx(5)


def test_a_film_on_its_side_is_turned_upright() -> None:
    film = a_film()
    film[:, :4] = 255  # a bar at the top
    content = bytearray(in_format(film, "mp4"))
    header = content.find(
        b"tkhd"
    )  # ISO/IEC 14496-12, 8.3.2: the matrix stands 40 bytes behind version and flags
    turned = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # a quarter turn clockwise
    content[header + 44 : header + 80] = struct.pack(">9i", *turned)
    frames = decoded_clip(io.BytesIO(bytes(content))).frames
    assert frames.shape == (8, 24, 16, 3)
    assert frames[:, :, -3:].min() > 150 > frames[:, 12:, :4].max()  # the bar is at the right now


def test_of_uneven_frames_those_are_shown_that_are_seen_at_equal_distances() -> None:
    film = np.stack([np.full((16, 24, 3), 20 * number, np.uint8) for number in range(10)])
    begins = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 3.0, 4.5]
    found = decoded_clip(io.BytesIO(in_format(film, "mkv", begins)))
    shades = [0, 100, 140, 140, 140, 140, 160, 160, 160, 180]  # at 0, 0.5, 1.0 … 4.5
    assert found.frames[:, 0, 0, 0].tolist() == shades
    assert found.rate == pytest.approx(2)


def test_frames_larger_than_anyone_films_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips_reader, "LARGEST_FRAME", 16 * 24 - 1)
    with pytest.raises(BadDataError, match="frames of more than"):
        decoded_clip(io.BytesIO(in_format(a_film(), "mp4")))


@pytest.mark.parametrize(("kind", "limit"), [("gif", "MOST_PIXELS_OF_PICTURES"), ("mp4", "MOST_PIXELS")])
def test_a_clip_that_unpacks_to_too_much_is_refused(
    kind: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips_reader, limit, 3 * 16 * 24)
    with pytest.raises(BadDataError, match="million pixels in all"):
        decoded_clip(io.BytesIO(in_format(a_film(), kind)))


def test_a_ribbon_is_kept_small_too() -> None:
    film = np.zeros((2, 16, 6000, 3), np.uint8)
    assert decoded_clip(io.BytesIO(in_format(film, "mkv"))).frames.shape == (2, 3, 1024, 3)


@pytest.mark.parametrize("kind", CODECS)
def test_a_clip_that_ends_too_early_says_so(kind: str) -> None:
    noise = np.random.default_rng(0).integers(256, size=(8, 32, 48, 3), dtype=np.uint8)
    content = in_format(noise, kind)
    assert not decoded_clip(io.BytesIO(content)).cut
    if kind in ("gif", "avi", "mkv"):  # the index of an mp4 stands at its end: half of one is none
        assert decoded_clip(io.BytesIO(content[: 2 * len(content) // 3])).cut


@pytest.mark.parametrize("kind", CODECS)
def test_no_damage_makes_the_decoder_fall(kind: str) -> None:
    survive(kind, MUTATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CODECS)
def test_no_damage_of_two_hundred_makes_the_decoder_fall(kind: str) -> None:
    survive(kind, ALL_MUTATIONS)


def survive(kind: str, mutations: int) -> None:
    for damaged in damaged_files(kind, mutations):
        try:
            assert decoded_clip(io.BytesIO(damaged)).frames.dtype == np.uint8
        except BadDataError as problem:
            assert str(problem)


def damaged_files(kind: str, mutations: int) -> Iterator[bytes]:
    whole = in_format(a_film(), kind)
    for number in range(mutations):
        rng = random.Random(f"{kind} {number}")
        damaged = bytearray(whole[: rng.randrange(1, len(whole) + 1)] if number % 3 == 0 else whole)
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        yield bytes(damaged)


def test_a_film_strip_is_undone() -> None:
    frames = np.random.default_rng(0).integers(256, size=(6, 4, 5, 3), dtype=np.uint8)
    strip = film_strip(frames)
    assert strip.shape == (3 * 4, 5, 6)
    assert np.array_equal(strip[4:8, :, 0], frames[2, :, :, 0])  # the second pair, its first frame, in red
    assert np.array_equal(strip[4:8, :, 1], frames[3, :, :, 0])
    assert np.array_equal(frames_of(strip[None], 3)[0], frames)
    shown = side_by_side(strip[None], 3)[0]
    assert np.array_equal(shown, np.concatenate(list(frames), axis=1))


def test_a_strip_is_of_the_middle_of_a_clip_its_frames_at_equal_distances() -> None:
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    cut = ClipCut(frames=4, seconds=1.0, side=8, patch=4, channels=1)
    clip = Clip(frames, 20.0)
    assert frames_of(cut.array(clip)[None], 2)[0, :, 0, 0, 0].tolist() == [12, 17, 22, 27]
    assert frames_of(cut.array(Clip(frames, None))[None], 2)[0, :, 0, 0, 0].tolist() == [5, 15, 25, 35]
    pieces = [frames_of(strip[None], 2)[0, :, 0, 0, 0].tolist() for strip in cut.arrays(clip)]
    assert pieces == [[2, 7, 12, 17], [22, 27, 32, 37]]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    for name in ("left", "right"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            film = np.roll(a_film(), number, axis=1)
            content = in_format(film[::-1] if name == "left" else film, "avi")
            (folder / name / f"{number}.avi").write_bytes(content)
    return folder


def test_a_pool_of_clips(clips: Path, tmp_path: Path) -> None:
    assert modality_of(clips) == "video"
    pool = build_media_pool([clips], cut=ClipCut(), cache=tmp_path / "cache")
    patches = pool.patches
    assert (patches.rows, patches.columns, patches.side, patches.channels) == (16, 4, 4, 6)
    assert (patches.slices, patches.colour) == (4, True)
    assert patches.mean[0] == patches.mean[1]
    assert cut_like(patches) == cut_of(pool.facts["cut"])
    patches.save(tmp_path)
    shape = {name: getattr(patches, name) for name in ("rows", "columns", "side", "channels", "slices")}
    assert Patches.load(tmp_path, **shape) == patches
    with pytest.raises(BadDataError, match="2 slices"):
        Patches.load(tmp_path, **(shape | {"slices": 2}))


def test_arrays_of_clips_and_their_labels(tmp_path: Path) -> None:
    film = np.random.default_rng(0).integers(256, size=(5, 8, 16, 16, 3), dtype=np.uint8)
    save: Any = np.savez_compressed
    save(tmp_path / "train.npz", frames=film, action=np.arange(5) % 2)
    assert modality_of(tmp_path / "train.npz") == "video"
    sources = find_media(tmp_path / "train.npz", modality="video")
    found = list(read_media(sources, Problems(), label="action"))
    assert [each.label for each in found] == ["0", "1", "0", "1", "0"]
    assert isinstance(found[2].content, Clip)
    assert np.array_equal(found[2].content.frames, film[2])


def test_clips_in_a_zip(clips: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        for path in sorted(clips.rglob("*.avi")):
            archive.write(path, path.relative_to(clips))
    found = list(read_media(find_media(tmp_path / "train.zip", modality="video"), Problems()))
    assert [each.label for each in found] == ["left"] * 3 + ["right"] * 3


def test_waves_of_a_strip_tell_time_and_place() -> None:
    waves = grid_sinusoids(6, 4, 32, slices=3).unflatten(0, (3, 2, 4))
    assert np.allclose(waves[0, 1, 2, 8:], waves[2, 1, 2, 8:])
    assert np.allclose(waves[1, 0, 0, :8], waves[1, 1, 3, :8])
    assert len({tuple(row.tolist()) for row in waves.flatten(0, 2)}) == 24


def test_bytes_are_sorted_into_the_patches_that_numbers_are_cut_into() -> None:
    patches = Patches(
        rows=4, columns=3, side=4, channels=6, mean=(0.4, 0.5, 0.6) * 2, deviation=(0.2, 0.25, 0.3) * 2
    )
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 12, 6), dtype=np.uint8)
    inputs, layout = patches.sequences(pixels)
    mean, deviation = (torch.tensor(values) for values in (patches.mean, patches.deviation))
    numbers = ((torch.from_numpy(pixels).float() / 255.0 - mean) / deviation).permute(0, 3, 1, 2)
    assert torch.equal(inputs[:, 1:], patches.cut(numbers))
    assert torch.equal(patches.patched(pixels), inputs[:, 1:])
    assert not inputs[:, 0].any()
    assert layout.documents.shape == (5, 13)
