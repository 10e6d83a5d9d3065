"""Pictures, recordings and clips that are not what they should be: what a user reads, and the exit code."""

import io
import struct
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SMALL = ("--size", "nano", "--steps", "1", "--set", "machine.threads=1", "-q")
Told = Callable[..., Any]


def png(seed: int, side: int = 16) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(256, size=(side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def wav(seed: int, seconds: float = 0.2) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        samples = np.random.default_rng(seed).normal(0, 3_000, round(8_000 * seconds))
        file.writeframes(samples.astype("<i2").tobytes())
    return stream.getvalue()


def folder(place: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place


def bomb() -> bytes:
    """A PNG that claims 60,000 × 60,000 pixels."""
    content = bytearray(png(0))
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("title", "files", "words"),
    [
        ("pictures that are none", {"a.png": b"no", "b.jpg": b"picture"}, "none of 2 files is a picture"),
        ("recordings that are none", {"a.wav": b"no", "b.mp3": b"sound"}, "none of 2 files is a recording"),
        ("clips that are none", {"a.mp4": b"no", "b.gif": b"GIF89a"}, "none of 2 files is a clip"),
        ("a picture that claims 3.6 billion pixels", {"a.png": bomb()}, "none of 1 files is a picture"),
    ],
)
def test_nothing_to_read(
    title: str, files: dict[str, bytes], words: str, told: Told, cache: object, tmp_path: Path
) -> None:
    place = folder(tmp_path / "media", files)
    seen = told(title, "pretrain", place, "--out", tmp_path / "run", *SMALL)
    assert seen.code == 65
    assert words in seen.err
    assert not (tmp_path / "run").exists()


def test_what_is_broken_is_named_and_the_rest_goes_on(told: Told, cache: object, tmp_path: Path) -> None:
    files = {f"{number}.png": png(number) for number in range(6)} | {
        "broken.png": png(9)[:80],
        "big.png": bomb(),
    }
    place = folder(tmp_path / "media", files)
    seen = told("one picture cut short, one bomb, six good ones", "inspect", place, about="broken.png")
    assert seen.code == 0
    assert "6 pictures in 8 files" in seen.out
    assert "broken.png" in seen.out
    assert "more than 64 million pixels" in seen.out


def test_pictures_without_labels(told: Told, cache: object, tmp_path: Path) -> None:
    place = folder(tmp_path / "media", {f"{number}.png": png(number) for number in range(6)})
    arguments = ("finetune", "scratch", place, "--out", tmp_path / "run", *SMALL)
    seen = told("pictures without labels", *arguments)
    assert seen.code == 65
    assert "none of 6 pictures has a label; put them into one folder for each class" in seen.err


def test_a_table_that_does_not_say_which_column_is_the_label(
    told: Told, cache: object, tmp_path: Path
) -> None:
    files = {f"{number}.wav": wav(number) for number in range(6)}
    rows = "".join(f"{number}.wav,{number % 2},{number % 3}\n" for number in range(6))
    place = folder(tmp_path / "media", files | {"about.csv": f"file,speaker,word\n{rows}".encode()})
    seen = told(
        "a table with two columns that might be the label",
        *("finetune", "scratch", place, "--out", tmp_path / "run", *SMALL),
    )
    assert seen.code == 65
    assert "speaker, word" in seen.err
    assert "--label" in seen.err


def test_a_table_that_names_what_is_not_there(told: Told, cache: object, tmp_path: Path) -> None:
    files = {f"{number}.wav": wav(number) for number in range(6)}
    rows = "".join(f"{number}.wav,{number % 2}\n" for number in range(9))
    place = folder(tmp_path / "media", files | {"about.csv": f"file,speaker\n{rows}".encode()})
    seen = told("a table that names three files that are not there", "inspect", place, about="no such file")
    assert seen.code == 0
    assert "6 recordings in 6 files" in seen.out
    assert "no such file" in seen.out


def test_a_table_whose_files_are_nowhere(told: Told, cache: object, tmp_path: Path) -> None:
    rows = "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(6))
    table = folder(tmp_path / "media", {"labels.csv": f"file,label\n{rows}".encode()}) / "labels.csv"
    seen = told(
        "a table of pictures that lie neither beside it nor where its paths lead",
        *("finetune", "scratch", table, "--out", tmp_path / "run", *SMALL),
    )
    assert seen.code == 65
    assert 'of the pictures that column "file" names (0.png, 1.png, 2.png) most are not there' in seen.err
    assert "beside the table, or paths that lead to them" in seen.err


def test_a_zip_that_leads_out_of_its_folder(told: Told, cache: object, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "media.zip", "w") as archive:
        archive.writestr("../out.png", png(1))
        for number in range(4):
            archive.writestr(f"{number}.png", png(number))
    seen = told("an archive with a picture outside of it", "inspect", tmp_path / "media.zip", about="..")
    assert seen.code == 0
    assert "4 pictures in 4 files" in seen.out


def test_patches_that_do_not_fill(told: Told, cache: object, tmp_path: Path) -> None:
    place = folder(tmp_path / "media", {f"{number}.png": png(number) for number in range(6)})
    patch = ("--set", "model.patch=5", "--set", "data.side=16")
    seen = told(
        "patches that do not fill a picture", "pretrain", place, "--out", tmp_path / "run", *SMALL, *patch
    )
    assert seen.code == 65
    assert "patches of 5 pixels do not fill a side of 16" in seen.err


def tiff_of_five(seed: int) -> bytes:
    """Five channels in one strip, and the directory behind it."""
    values = np.random.default_rng(seed).integers(256, size=16 * 16 * 5, dtype=np.uint8).tobytes()
    tags = {256: 16, 257: 16, 258: 8, 259: 1, 262: 2, 273: 8, 277: 5, 278: 16, 279: len(values)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(values))
    return head + values + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_pictures_of_five_channels(told: Told, cache: object, tmp_path: Path) -> None:
    place = folder(tmp_path / "media", {"a.tif": tiff_of_five(0), **{f"{n}.png": png(n) for n in range(6)}})
    seen = told("a TIFF of five channels", "inspect", place, about="a.tif")
    assert seen.code == 0
    assert "a TIFF of 5 channels; expected grey, colour, or colour and transparency" in seen.out
    assert "More samples" not in seen.err


def test_an_array_whose_last_axis_may_be_channels(told: Told, cache: object, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((20, 16, 16, 5), np.uint8))
    seen = told("an array (20, 16, 16, 5)", "inspect", tmp_path / "x.npz", about="array x")
    assert "array x (20, 16, 16, 5) read as pictures of 5 channels; if not, name the array clips" in seen.out


def test_an_array_that_is_neither_pictures_nor_clips(told: Told, cache: object, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((20, 8, 16, 16, 5), np.uint8))
    seen = told("clips of five channels", "pretrain", tmp_path / "x.npz", "--out", tmp_path / "run", *SMALL)
    assert seen.code == 66
    assert "no array of pictures or clips (x (20, 8, 16, 16, 5) uint8; expected (pictures," in seen.err


def test_frames_that_make_no_pairs(told: Told, cache: object, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(256, size=(6, 8, 16, 16, 3), dtype=np.uint8)
    save: Any = np.savez_compressed
    save(tmp_path / "clips.npz", frames=frames)
    seen = told(
        "an odd number of frames",
        *("pretrain", tmp_path / "clips.npz", "--out", tmp_path / "run", *SMALL, "--set", "data.frames=5"),
    )
    assert seen.code == 65
    assert "5 frames of a clip; expected an even number" in seen.err


@pytest.mark.parametrize(
    ("title", "objective", "files", "words"),
    [
        ("a task of clips for pictures", "frame_order", {"a.png": png(1)}, "frame_order reads clips"),
        ("a task of pictures for recordings", "jigsaw", {"a.wav": wav(1)}, "jigsaw reads pictures"),
        ("a task of text for pictures", "masked_tokens", {"a.png": png(1)}, "masked_tokens reads text"),
    ],
)
def test_a_task_of_another_kind(
    title: str,
    objective: str,
    files: dict[str, bytes],
    words: str,
    told: Told,
    cache: object,
    tmp_path: Path,
) -> None:
    place = folder(tmp_path / "media", files)
    seen = told(title, "pretrain", place, "--objective", objective, "--out", tmp_path / "run", *SMALL)
    assert seen.code == 78
    assert words in seen.err
    assert "choose --objective" in seen.err
