"""Tar archives: read like folders, and not trusted."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headwater.data.files import find_sources
from headwater.data.pair_rows import Pairing
from headwater.data.pairing import find_pairs
from headwater.data.problems import Problems
from headwater.data.readers import read_documents
from headwater.data.readers.media import read_media
from headwater.errors import MissingInputError


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def packed(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    mode = "w:gz" if path.suffix in (".gz", ".tgz") else "w"
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return path


@pytest.mark.parametrize("name", ["photos.tar", "photos.tar.gz", "photos.tgz"])
def test_pictures_in_an_archive_are_those_of_a_folder(name: str, tmp_path: Path) -> None:
    files = {f"./{kind}/{number}.png": png(10 * number) for kind in ("cats", "dogs") for number in range(3)}
    path = packed(tmp_path / name, {**files, "./cats/broken.png": b"none"})
    problems = Problems()
    sources = find_sources(path, modality="image", problems=problems)
    found = list(read_media(sources, problems))
    assert [(medium.label, int(np.asarray(medium.content)[0, 0, 0])) for medium in found] == [
        (kind, 10 * number) for kind in ("cats", "dogs") for number in range(3)
    ]
    assert found[0].path == f"{path}/cats/0.png"
    assert sum(problems.by_reason().values()) == 1
    assert sources[0].open().read() == png(0)
    assert sources[-2].open().read() == png(20)


def test_texts_in_an_archive_are_read(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "notes.tar.gz", {"a/one.txt": b"the first text\n", "b/two.txt": b"and another\n"}
    )
    assert [row.text for row in read_documents([path], problems=Problems())] == [
        "the first text",
        "and another",
    ]


def test_a_shard_holds_pairs_of_one_name(tmp_path: Path) -> None:
    files = {
        f"{number:04d}.{end}": content
        for number in range(3)
        for end, content in (("png", png(number)), ("txt", f"picture {number}".encode()))
    }
    found = find_pairs(packed(tmp_path / "shard.tar", files), Pairing.of(None, None))
    assert found.sides == ("image", "text")
    assert [row.second for row in found.rows] == ["picture 0", "picture 1", "picture 2"]


def test_what_leads_out_of_an_archive_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device = tarfile.TarInfo("device.png")
    device.type = tarfile.CHRTYPE
    files = {"../out.png": png(1), "/abs.png": png(2), "good.png": png(3)}
    latin = tarfile.TarInfo("M\udcfcller.png")
    path = packed(tmp_path / "bad.tar", files, link, device, latin)
    with tarfile.open(path, "a") as archive:
        again = tarfile.TarInfo("GOOD2.png")
        archive.addfile(again, io.BytesIO(b""))
        archive.addfile(tarfile.TarInfo("good2.png"), io.BytesIO(b""))
    problems = Problems()
    sources = find_sources(path, modality="image", problems=problems)
    assert [source.member for source in sources if source.size] == ["good.png"]
    assert problems.by_reason() == {
        "archive member outside the archive": 2,
        "archive member that is a link or a device": 2,
        "archive member twice under one name": 1,
        "archive member whose name is not valid text": 1,
    }


def test_a_bomb_and_a_torn_archive_are_named(tmp_path: Path) -> None:
    bomb = packed(tmp_path / "bomb.tar.gz", {"zeros.png": bytes(1 << 27)})
    assert bomb.stat().st_size < 1 << 18
    with pytest.raises(MissingInputError, match="unpacks to more than 250 times its size"):
        find_sources(bomb, modality="image")
    whole = packed(tmp_path / "whole.tar", {f"{number}.png": png(number) for number in range(20)})
    for keep in (100, 700, whole.stat().st_size // 2):
        torn = tmp_path / f"torn-{keep}.tar"
        torn.write_bytes(whole.read_bytes()[:keep])
        problems = Problems()
        try:
            sources = find_sources(torn, modality="image", problems=problems)
        except MissingInputError as problem:
            assert "torn" in str(problem)
        else:
            assert len(list(read_media(sources, problems))) < 20
