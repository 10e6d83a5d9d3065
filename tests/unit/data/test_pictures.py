"""Pictures of every kind: what is decoded, what is refused, and that nothing of anybody's makes the reader fall."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headwater.data import Problems, find_sources
from headwater.data.media_tables import modality_of
from headwater.data.readers.media import Medium, read_media
from headwater.data.readers.pictures import FORMATS, MOST_PIXELS, Pixels, as_pixels, as_seen, decoded
from headwater.errors import BadDataError, MissingInputError

SUFFIX = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "PPM": "ppm"}
MUTATIONS = 40
ALL_MUTATIONS = 200


def a_picture(mode: str = "RGB", size: tuple[int, int] = (12, 8)) -> Image.Image:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(256, size=(size[1], size[0], 3), dtype=np.uint8))
    return image.convert(mode)


def in_format(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(content: bytes) -> np.ndarray:
    return decoded(io.BytesIO(content))


def pixels(medium: Medium) -> Pixels:
    assert isinstance(medium.content, np.ndarray)
    return medium.content


@pytest.mark.parametrize("kind", FORMATS)
def test_colour_comes_back_from_every_format(kind: str) -> None:
    image = a_picture()
    options = (
        {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    )
    found = pixels_of(in_format(image, kind, **options))
    assert found.shape == (8, 12, 3)
    assert np.abs(found.astype(int) - np.asarray(image).astype(int)).max() <= (6 if kind == "JPEG" else 0)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("RGBA", 3), ("LA", 3), ("CMYK", 3), ("I;16", 1)]
)
def test_every_mode_becomes_grey_or_colour(mode: str, channels: int) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.arange(96, dtype=np.uint16).reshape(8, 12) * 600)
    else:
        image = a_picture(mode) if mode != "LA" else a_picture("L").convert("LA")
    kind = "TIFF" if mode == "CMYK" else "PNG"
    found = pixels_of(in_format(image, kind))
    assert found.shape == (8, 12, channels)
    assert found.dtype == np.uint8
    if mode == "I;16":
        assert found[..., 0].ravel()[-1] == round(95 * 600 * 255 / 65_535)


def test_what_is_transparent_is_white() -> None:
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    image.putpixel((1, 1), (200, 0, 0, 255))
    found = pixels_of(in_format(image, "PNG"))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[1, 1].tolist() == [200, 0, 0]


def test_a_camera_that_was_held_upright_is_turned_back() -> None:
    image = a_picture(size=(12, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it as it was
    assert pixels_of(in_format(image, "PNG", exif=exif.tobytes())).shape == (12, 8, 3)


def a_tiff(values: np.ndarray) -> bytes:
    """A TIFF of any number of channels, one strip, of which Pillow knows a few."""
    height, width, channels = values.shape
    entries = [
        *((256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, 8), (259, 3, 1, 1)),
        *((262, 3, 1, 2 if channels > 2 else 1), (273, 4, 1, 8), (277, 3, 1, channels)),
        *((278, 3, 1, height), (279, 4, 1, values.size)),
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = struct.pack("<2sHI", b"II", 42, 8 + values.size)
    return head + values.tobytes() + struct.pack("<H", len(entries)) + directory + bytes(4)


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims any size in a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(4096)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (1 << 30, 1), (8_001, 8_000)])
def test_a_bomb_is_refused_before_it_is_unpacked(width: int, height: int) -> None:
    assert width * height > MOST_PIXELS
    with pytest.raises(BadDataError, match=r"more than 64 million pixels|no picture"):
        pixels_of(bomb(width, height))


@pytest.mark.parametrize("content", [b"", b"not a picture", bomb(10, 10)[:40], b"GIF89a" + bytes(20)])
def test_what_is_no_picture_says_so(content: bytes) -> None:
    with pytest.raises(BadDataError, match="no picture: "):
        pixels_of(content)


def mutated(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    match rng.randrange(4):
        case 0:
            return bytes(changed[: rng.randrange(len(changed))])
        case 1:
            for _ in range(rng.randint(1, 12)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
        case 2:
            start = rng.randrange(len(changed))
            changed[start : start + rng.randint(1, 30)] = rng.randbytes(rng.randint(0, 60))
        case _:
            for _ in range(rng.randint(1, 4)):
                changed[rng.randrange(min(64, len(changed)))] = rng.choice([0, 0x7F, 0x80, 0xFF])
    return bytes(changed)


def damaged_files(kind: str, count: int) -> Iterator[bytes]:
    rng = random.Random(kind)
    modes = ["RGB", "L"] + (["P", "RGBA"] if kind in ("PNG", "WEBP", "TIFF") else [])
    whole = [in_format(a_picture(mode if kind != "WEBP" or mode != "P" else "RGB"), kind) for mode in modes]
    for number in range(count):
        yield mutated(whole[number % len(whole)], rng)


def attack(kind: str, count: int) -> None:
    for damaged in damaged_files(kind, count):
        try:
            found = pixels_of(damaged)
        except BadDataError as problem:
            assert str(problem).startswith(("no picture: ", "more than 64 million pixels"))
        else:
            assert found.dtype == np.uint8
            assert found.ndim == 3


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.timeout(60)
def test_mutated_files_are_read_or_refused(kind: str) -> None:
    attack(kind, MUTATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_many_mutated_files_are_read_or_refused(kind: str) -> None:
    attack(kind, ALL_MUTATIONS)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for split in ("train", "test"):
        for number, label in enumerate(("cat", "dog", "cat")):
            path = folder / split / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            a_picture(size=(12 + number, 8)).save(path)
    (folder / "train" / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "notes.txt").write_text("about the photos")
    return folder


def test_folders_are_classes_and_a_broken_file_is_named(photos: Path) -> None:
    assert modality_of(photos) == "image"
    sources = find_sources(photos, modality="image")
    problems = Problems()
    found = list(read_media(sources, problems))
    assert [(picture.label, pixels(picture).shape) for picture in found] == [
        ("cat", (8, 12, 3)),
        ("cat", (8, 14, 3)),
        ("dog", (8, 13, 3)),
    ] * 2
    assert {source.split for source in sources} == {"train", "test"}
    (problem,) = problems.first()
    assert problem.path.endswith("broken.jpg")
    assert problem.reason == "no picture"
    assert (problems.rows, problems.total) == (7, 1)


def test_a_zip_is_read_in_place(photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        for path in sorted((photos / "train").rglob("*.*")):
            archive.write(path, path.relative_to(photos / "train"))
    sources = find_sources(tmp_path / "train.zip", modality="image")
    assert {source.split for source in sources} == {"train"}
    assert [picture.label for picture in read_media(sources, Problems())] == ["cat", "cat", "dog"]


def test_arrays_of_pictures_and_their_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(256, size=(5, 6, 7), dtype=np.uint8),
        "y_train": np.arange(5, dtype=np.uint8) % 2,
        "x_test": rng.random((3, 6, 7, 3), dtype=np.float32),
        "y_test": np.array(["a", "b", "a"]),
        "other": np.arange(5),
        "objects": np.array([{}, None], dtype=object),
    }
    save: Any = np.savez_compressed
    save(tmp_path / "digits.npz", **arrays)
    sources = find_sources(tmp_path, modality="image")
    assert [(source.member, source.split) for source in sources] == [("x_train", "train"), ("x_test", "test")]
    found = list(read_media(sources, Problems()))
    assert [picture.label for picture in found] == ["0", "1", "0", "1", "0", "a", "b", "a"]
    assert np.array_equal(pixels(found[1])[..., 0], arrays["x_train"][1])
    assert np.array_equal(pixels(found[6]), as_pixels(arrays["x_test"])[1])
    assert found[6].path.endswith("digits.npz/x_test")
    assert found[6].row == 2
    named = list(read_media(sources[:1], Problems(), label="other"))
    assert named[4].label == "4"


def test_a_damaged_array_is_reported(tmp_path: Path) -> None:
    np.savez(tmp_path / "digits.npz", images=np.zeros((400, 8, 8), np.uint8))
    content = (tmp_path / "digits.npz").read_bytes()
    (tmp_path / "digits.npz").write_bytes(content[:9000] + bytes([content[9000] ^ 255]) + content[9001:])
    problems = Problems()
    assert list(read_media(find_sources(tmp_path, modality="image"), problems)) == []
    assert problems.by_reason() == {"file damaged or unreadable": 1}
    (tmp_path / "digits.npz").write_bytes(content[:-60])
    with pytest.raises(MissingInputError, match="file cannot be read"):
        find_sources(tmp_path, modality="image")


def test_text_stays_text(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a text\n")
    (tmp_path / "logo.png").write_bytes(in_format(a_picture(), "PNG"))
    assert modality_of(tmp_path) == "text"
    assert [source.kind for source in find_sources(tmp_path)] == ["text"]
    with pytest.raises(MissingInputError, match=r"passed over: 1 \.txt; expected \.bmp, .*inside a \.zip"):
        find_sources(tmp_path / "notes.txt", modality="image")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5], [0.25, 1.0]]), [[0, 128], [64, 255]]),
        (np.array([[0.0, 1.0], [128.0, 255.0]]), [[0, 1], [128, 255]]),
        (np.array([[0, 2047], [4095, 125]], np.uint16), [[0, 127], [255, 8]]),
        (np.array([[0, 255], [7, 9]], np.int64), [[0, 255], [7, 9]]),
    ],
    ids=["shares", "whole floats", "12 bits", "8 bits in wide numbers"],
)
def test_an_array_has_one_scale(values: np.ndarray, expected: list[list[int]]) -> None:
    assert as_pixels(values).tolist() == expected


@pytest.mark.parametrize("values", [np.array([-1.5, 0.5]), np.array([0.0, 70_000.0])])
def test_numbers_that_are_no_brightness_are_refused(values: np.ndarray) -> None:
    with pytest.raises(BadDataError, match="expected brightness from 0"):
        as_pixels(values)


def test_a_dark_scan_stays_darker_than_a_bright_one() -> None:
    dark, bright = (Image.fromarray(np.full((8, 8), level, np.uint16)) for level in (200, 40_000))
    assert pixels_of(in_format(dark, "PNG")).max() < pixels_of(in_format(bright, "PNG")).min()


@pytest.mark.parametrize("channels", [2, 5, 8])
def test_a_tiff_of_other_channels_says_where_they_are_read(
    channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(
        BadDataError, match=f"no picture: a TIFF of {channels} channels; expected .* npz array"
    ):
        pixels_of(a_tiff(np.zeros((8, 12, channels), np.uint8)))


def test_what_is_seen_of_many_channels_is_grey_or_colour() -> None:
    assert [as_seen(np.zeros((2, 4, 4, channels), np.uint8)).shape[-1] for channels in (1, 2, 3, 7)] == [
        *(1, 3, 3, 3)
    ]


def test_an_array_named_rgba_is_laid_on_white_as_a_png_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(256, size=(3, 8, 8, 4), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", rgba=values)
    found = [pixels(medium) for medium in read_media(find_sources(tmp_path, modality="image"), Problems())]
    files = [pixels_of(in_format(Image.fromarray(picture), "PNG")) for picture in values]
    assert np.abs(np.stack(found).astype(int) - np.stack(files)).max() <= 1


def sixteen_bits(most: int, kind: str = "PNG") -> bytes:
    values = np.linspace(0, most, 64).round().astype(np.uint16).reshape(8, 8)
    return in_format(Image.fromarray(values), kind)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("most", "white"), [(300, 4_095), (4_095, 4_095), (4_096, 65_535), (60_000, 65_535)])
def test_twelve_bits_among_sixteen_keep_their_greys(kind: str, most: int, white: int) -> None:
    said: list[str] = []
    found = decoded(io.BytesIO(sixteen_bits(most, kind)), said.append)
    assert found.max() == round(most * 255 / white)
    assert said == [f"pictures of 16 bits, read from 0 to {white:,}"]


def test_a_png_that_says_its_bits_fills_all_sixteen() -> None:
    content = sixteen_bits(4_000)
    said = b"sBIT" + bytes([12])
    chunk = struct.pack(">I", 1) + said + struct.pack(">I", zlib.crc32(said))
    assert pixels_of(content[:33] + chunk + content[33:]).max() == round(4_000 * 255 / 65_535)


def test_a_pgm_tells_its_own_white() -> None:
    values = np.linspace(0, 500, 64).round().astype(">u2").tobytes()
    assert int(pixels_of(b"P5 8 8 1000\n" + values).max()) in (127, 128)


@pytest.mark.parametrize(
    ("dtype", "bright", "dark", "expected"),
    [(np.uint16, 4_000, 900, 56), (np.float32, 200.0, 0.5, 0), (np.int64, 255, 3, 3)],
)
def test_the_parts_of_a_file_have_one_scale(
    dtype: Any, bright: float, dark: float, expected: int, tmp_path: Path
) -> None:
    train, test = (np.full((3, 8, 8), value, dtype) for value in (bright, dark))
    np.savez(tmp_path / "a.npz", x_train=train, x_test=test, vectors=np.full((3, 8, 8), -1.0, np.float32))
    problems = Problems()
    found = list(read_media(find_sources(tmp_path, modality="image"), problems))
    assert pixels(found[-1]).max() == expected
    assert problems.by_reason() == {"no pictures": 1}
    assert any(fact.startswith("array x_test of ") for fact in problems.notes)


def test_captions_beside_pictures_do_not_make_them_text(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(in_format(a_picture(), "PNG"))
        (tmp_path / f"{number}.txt").write_text("a picture of noise\n" * 100)
    assert modality_of(tmp_path) == "image"
    (tmp_path / "corpus.txt").write_text("much more text\n" * 1000)
    assert modality_of(tmp_path) == "text"


def test_a_picture_may_be_called_anything(tmp_path: Path) -> None:
    for name in ("license-01.png", "README.png"):
        (tmp_path / name).write_bytes(in_format(a_picture(), "PNG"))
    assert len(find_sources(tmp_path, modality="image")) == 2
