import gzip
import hashlib
import zipfile
from pathlib import Path

import pytest

from headwater.data import Problems, find_sources, split_of_name
from headwater.data.files import survey
from headwater.errors import MissingInputError


def write(path: Path, content: str | bytes = "some text\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_folder_is_walked_in_sorted_order(tmp_path: Path):
    for name in ("b.txt", "a/z.csv", "a/b/c.jsonl", "c.tsv.gz"):
        write(tmp_path / name, gzip.compress(b"text\nhello\n") if name.endswith("gz") else "text\nhello\n")
    found = find_sources(tmp_path)
    assert [Path(source.path).relative_to(tmp_path).as_posix() for source in found] == [
        "b.txt",
        "c.tsv.gz",
        "a/z.csv",
        "a/b/c.jsonl",
    ]
    assert [source.kind for source in found] == ["text", "tsv", "csv", "jsonl"]


@pytest.mark.parametrize(
    "name",
    ["README.md", "readme.txt", "LICENSE.txt", "Licence.md", "MANIFEST.tsv", ".hidden.txt", ".git/a.txt"],
)
def test_files_about_the_data_never_enter(tmp_path: Path, name: str):
    write(tmp_path / name)
    write(tmp_path / "corpus.txt")
    assert [source.file.name for source in find_sources(tmp_path)] == ["corpus.txt"]


def test_what_is_named_like_files_about_the_data_and_is_none_enters(tmp_path: Path):
    names = [
        "changelog-of-a-life.md",
        "readme_first_love.txt",
        "Notice 2021-04.txt",
        "authors of note.txt",
        "notice-to-tenants.txt",
    ]
    about = [
        "NOTICE.txt",
        "README.zh-CN.md",
        "LICENSE-APACHE-2.0.txt",
        "README (1).md",
        "readme copy.md",
        "README-2021.txt",
    ]
    for name in [*names, *about]:
        write(tmp_path / name)
    found = survey(tmp_path)
    assert [source.file.name for source in found.sources] == sorted(names)
    assert found.ignored == dict.fromkeys(about, 1)


def test_links_to_folders_are_followed_and_lead_nowhere_twice(tmp_path: Path):
    write(tmp_path / "elsewhere" / "a.txt")
    inside = tmp_path / "data"
    write(inside / "b.txt")
    (inside / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (inside / "round").symlink_to(inside, target_is_directory=True)
    assert [source.file.name for source in find_sources(inside)] == ["b.txt", "a.txt"]


def test_a_file_the_user_names_always_enters(tmp_path: Path):
    source = find_sources(write(tmp_path / "README.md"))[0]
    assert (source.kind, source.named) == ("text", True)


def test_a_named_file_without_suffix_is_text(tmp_path: Path):
    assert find_sources(write(tmp_path / "corpus"))[0].kind == "text"


def test_other_files_are_counted_by_suffix(tmp_path: Path):
    for name in ("a.png", "b.png", "c.xyz", "d.txt"):
        write(tmp_path / name)
    assert survey(tmp_path).ignored == {".png": 2, ".xyz": 1}


def test_a_path_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(MissingInputError, match="no file or folder"):
        find_sources(tmp_path / "nowhere")


def test_a_folder_without_data_says_what_was_there(tmp_path: Path):
    write(tmp_path / "a.png")
    with pytest.raises(MissingInputError, match=r"no data files in .*passed over: 1 \.png.*expected"):
        find_sources(tmp_path)


def test_a_path_given_twice_is_read_once(tmp_path: Path):
    path = write(tmp_path / "a.txt")
    assert len(find_sources([path, tmp_path])) == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("train.csv", "train"),
        ("data/valid.tsv", "validation"),
        ("dev.jsonl", "validation"),
        ("val_set.txt", "validation"),
        ("test_2016_flickr.tsv", "test"),
        ("train-00000-of-00004.parquet", "train"),
        ("train.txt.gz", "train"),
        ("test/a.csv", "test"),
        ("train_and_test.csv", None),
        ("latest.txt", None),
        ("corpus.txt", None),
    ],
)
def test_the_part_is_told_by_file_or_folder_name(path: str, expected: str | None):
    assert split_of_name(path) == expected


def test_folders_outside_the_one_given_tell_nothing():
    assert split_of_name("test/project/data/a.csv", root="test/project/data") is None
    assert split_of_name("test/project/data/train/b/a.csv", root="test/project/data") == "train"


def test_the_digest_is_of_the_unpacked_content(tmp_path: Path):
    content = b"text\nhello\n"
    expected = hashlib.blake2b(content, digest_size=16).hexdigest()
    write(tmp_path / "plain" / "a.txt", content)
    write(tmp_path / "gzip" / "a.txt.gz", gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.txt", content)
        archive.writestr("a.csv.gz", gzip.compress(content))
    found = find_sources(tmp_path)
    assert {source.digest for source in found} == {expected}
    assert sorted(str(source.compression) for source in found) == ["None", "gzip", "zip", "zip and gzip"]


def test_a_zip_is_walked_like_a_folder(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (
            "set/train/b.txt",
            "set/README.md",
            "set/.x.txt",
            "set/test.csv",
            "__MACOSX/a.txt",
            "p.png",
        ):
            archive.writestr(name, "hello")
    found = find_sources(tmp_path)
    assert [(source.member, source.split) for source in found] == [
        ("set/test.csv", "test"),
        ("set/train/b.txt", "train"),
    ]
    with found[1].open() as stream:
        assert stream.read() == b"hello"


def test_a_file_that_is_no_zip_is_reported_and_the_rest_goes_on(tmp_path: Path):
    write(tmp_path / "a.zip", b"not a zip at all")
    write(tmp_path / "b.txt")
    problems = Problems()
    assert len(find_sources(tmp_path, problems=problems)) == 1
    assert problems.by_reason() == {"file cannot be read": 1}
    assert problems.files == 1 and problems.total == 0


@pytest.mark.data
def test_the_parts_of_the_public_sets_are_found(data_sets: Path):
    found = find_sources(data_sets / "translation" / "multi30k_en_de")
    assert [source.split for source in found] == ["test", "test", "train", "validation"]
