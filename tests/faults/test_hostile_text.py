"""Files that attack, lie or are simply broken: nothing is lost silently, nothing takes the run with it."""

import gzip
import io
import json
import os
import stat
import struct
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.data import Problems, find_sources, inspect, read_documents, read_labelled
from headwater.data.readers.sources import open_table
from headwater.errors import BadDataError, MissingInputError


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, *, text: str | None = None, document: str | None = None) -> tuple[list[str], Problems]:
    problems = Problems()
    found = read_documents(path, text=text, document=document, problems=problems, max_bad=1.0)
    return [example.text for example in found], problems


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.arrow"])
def test_an_empty_file_is_refused_by_name(tmp_path: Path, name: str):
    with pytest.raises(BadDataError, match=r"no documents found|no column reads as text"):
        read(write(tmp_path / name, b""))
    with pytest.raises(BadDataError):
        read_labelled(tmp_path / name)
    assert inspect(tmp_path / name).files[0].rows == 0


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_header_alone_is_no_data(tmp_path: Path, name: str):
    path = write(tmp_path / name, "text,label\n".replace(",", "\t" if name.endswith("tsv") else ","))
    with pytest.raises(BadDataError):
        read_labelled(path, text="text", label="label")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "One row."),
        ("a.csv", "text\nOne row."),
        ("a.jsonl", '{"text": "One row."}'),
        ("a.json", '[{"text": "One row."}]'),
    ],
)
def test_one_row_without_a_line_break_is_read(tmp_path: Path, name: str, content: str):
    assert read(write(tmp_path / name, content))[0] == ["One row."]


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_nul_bytes_cost_their_row_alone(tmp_path: Path, name: str):
    row = {"a.txt": "{}\n", "a.csv": "{}\n", "a.jsonl": '{{"text": "{}"}}\n'}[name]
    head = "text\n" if name == "a.csv" else ""
    content = head + "".join(row.format(text) for text in ("First good row", "Zero \0 here", "Last good row"))
    texts, problems = read(write(tmp_path / name, content))
    assert texts == ["First good row", "Last good row"]
    assert [(problem.row, problem.reason) for problem in problems.first()] == [(2, "NUL characters")]


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_windows_line_breaks_and_a_byte_order_mark_leave_no_trace(tmp_path: Path, name: str):
    content = "\ufefftext\r\nfirst row here\r\nsecond row here\r\n"
    texts, _ = read(write(tmp_path / name, content))
    assert texts[-2:] == ["first row here", "second row here"]
    assert texts[0] in ("text", "first row here")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "gb18030"])
def test_tables_are_read_in_other_encodings(tmp_path: Path, encoding: str):
    rows = "".join(f"{n % 2}\t这家酒店的第{n}个房间很不错，服务也好。\n" for n in range(20))
    found = read_labelled(write(tmp_path / "a.tsv", ("label\ttext\n" + rows).encode(encoding)))
    assert (len(found), found.text_columns, found.label_column) == (20, ("text",), "label")
    assert found.examples[3].text == "这家酒店的第3个房间很不错，服务也好。"


def test_lines_in_another_encoding_are_reported_one_by_one(tmp_path: Path):
    good = "今天天气很好，我们去公园散步。"
    lines = [good.encode()] * 8
    lines[2] = lines[5] = "价格便宜".encode("gb18030")
    texts, problems = read(write(tmp_path / "a.txt", b"\n".join(lines)), document="line")
    assert texts == [good] * 6
    assert [(problem.row, problem.reason) for problem in problems.first()] == [
        (3, "undecodable bytes"),
        (6, "undecodable bytes"),
    ]


def test_a_bad_line_leaves_the_rest_of_its_document(tmp_path: Path):
    texts, problems = read(
        write(tmp_path / "a.txt", b"First line.\n\xff\xfe\xfd\nThird line.\n"), document="file"
    )
    assert texts == ["First line.\nThird line."]
    assert problems.total == 1 and problems.rows == 3


def test_lone_surrogates_out_of_json_are_reported(tmp_path: Path):
    rows = [
        r'{"text": "half \ud83d pair"}',
        r'{"text": "a whole \ud83d\ude00 pair"}',
        '{"text": "plain words"}',
    ]
    texts, problems = read(write(tmp_path / "a.jsonl", "\n".join(rows)), text="text")
    assert texts == ["a whole 😀 pair", "plain words"]
    assert problems.by_reason() == {"lone surrogates": 1}


def test_invalid_json_lines_cost_themselves_alone(tmp_path: Path):
    rows = [
        '{"text": "good words here"}',
        "{oops",
        "[1, 2]",
        '"text"',
        "",
        "[" * 100_000,
        '{"text": "last words"}',
    ]
    texts, problems = read(write(tmp_path / "a.jsonl", "\n".join(rows)))
    assert texts == ["good words here", "last words"]
    assert problems.by_reason() == {"invalid JSON": 2, "not a JSON object": 2}
    assert problems.rows == 6


def test_a_broken_array_says_that_its_rest_is_lost(tmp_path: Path):
    content = json.dumps([{"text": f"words of row {n}"} for n in range(5)])
    texts, problems = read(
        write(tmp_path / "a.json", content.replace('{"text": "words of row 3"}', "{oops}"))
    )
    assert texts == [f"words of row {n}" for n in range(3)]
    assert problems.by_reason() == {"invalid JSON, the rest of the array is not read": 1}


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.txt.gz", "a.csv.gz", "a.parquet.gz"])
def test_a_damaged_file_is_reported_and_the_rest_goes_on(tmp_path: Path, name: str):
    write(tmp_path / name, b"PAR1 this is not what it says")
    write(tmp_path / "good.txt", "Some words.\n" * 3)
    texts, problems = read(tmp_path)
    assert len(texts) == 3
    assert problems.files == 1


def test_a_truncated_gzip_file_gives_what_it_has(tmp_path: Path):
    packed = gzip.compress(os.urandom(30_000).hex(" ", 8).replace(" ", "\n").encode())
    texts, problems = read(write(tmp_path / "a.txt.gz", packed[: len(packed) // 2]), document="line")
    assert len(texts) > 100
    assert problems.by_reason() == {"file damaged or unreadable": 1}


def test_an_unreadable_file_is_reported_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "a.txt", "secret\n").chmod(0)
    write(tmp_path / "b.txt", "Some words.\n")
    opened = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any):  # the tests may run as root, whom no mode stops
        if self.name == "a.txt":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    texts, problems = read(tmp_path)
    assert texts == ["Some words."]
    assert problems.by_reason() == {"file cannot be read": 1}


def test_a_link_to_nowhere_is_reported(tmp_path: Path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "gone.txt")
    write(tmp_path / "b.txt", "Some words.\n")
    texts, problems = read(tmp_path)
    assert texts == ["Some words."] and problems.files == 1


def test_a_file_name_that_is_no_text_can_still_be_reported(tmp_path: Path):
    folder = os.fsencode(tmp_path)
    Path(os.fsdecode(folder + b"/\xff.txt")).write_text("Some words.\n")
    source = find_sources(tmp_path)[0]
    assert source.path.encode().endswith(b"udcff.txt")
    assert read(tmp_path)[0] == ["Some words."]


def hostile_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.txt", "Some words.\n")
        archive.writestr("../outside.txt", "out")
        archive.writestr("a/../../outside2.txt", "out")
        archive.writestr("/absolute.txt", "out")
        archive.writestr("C:/drive.txt", "out")
        archive.writestr("a\\..\\..\\windows.txt", "out")
        for name, mode in (
            ("link.txt", stat.S_IFLNK),
            ("device.txt", stat.S_IFCHR),
            ("pipe.txt", stat.S_IFIFO),
        ):
            member = zipfile.ZipInfo(name)
            member.external_attr = (mode | 0o644) << 16
            archive.writestr(member, "/etc/passwd")
        archive.writestr("GOOD.TXT", "Another case.\n")
        archive.writestr("bomb.txt", b"0" * (80 << 20))
    return path


def test_hostile_members_of_a_zip_are_refused_one_by_one(tmp_path: Path):
    texts, problems = read(hostile_zip(tmp_path / "a.zip"))
    assert texts == ["Some words."]
    assert problems.by_reason() == {
        "archive member outside the archive": 5,
        "archive member that is a link or a device": 3,
        "archive member twice under one name": 1,
        "archive member unpacks to an implausible size": 1,
    }
    assert not list(tmp_path.parent.glob("outside*"))


def test_a_zip_whose_members_overlap_is_refused_whole(tmp_path: Path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.txt", "x" * 1000)
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    entry = bytes(data[start : data.index(b"PK\x05\x06")])
    copies = b"".join(entry.replace(b"a.txt", f"{n}.txt".encode()) for n in range(10))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 10, 10, len(copies), start, 0)
    path.write_bytes(bytes(data[:start]) + copies + end)
    problems = Problems()
    with pytest.raises(MissingInputError, match="members overlap"):
        find_sources(path, problems=problems)


def test_a_zip_with_a_giant_directory_is_not_even_opened(tmp_path: Path):
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFF0, 0, 0)
    with pytest.raises(MissingInputError, match=r"directory takes 4,294,967,280 bytes"):
        find_sources(write(tmp_path / "a.zip", b"PK\x03\x04" + end))


def test_a_gzip_bomb_ends_after_a_bounded_amount(tmp_path: Path):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as stream:
        for _ in range(80):
            stream.write(b"0" * (1 << 20))
    texts, problems = read(write(tmp_path / "a.txt.gz", packed.getvalue()), document="line")
    assert sum(map(len, texts)) <= 64 << 20
    assert "unpacks to more than 250 times" in problems.first()[0].detail


def test_a_hundred_thousand_columns_are_read(tmp_path: Path):
    count = 100_000
    header = ",".join(["text", *(f"c{n}" for n in range(count))])
    row = ",".join(["a few words here", *["1"] * count])
    ragged = ",".join(["more words here", *["1"] * (count - 1)])
    found = read_labelled(
        write(tmp_path / "a.csv", "\n".join([header, row, ragged, row])), text="text", need_labels=False
    )
    assert [example.row for example in found.examples] == [1, 3]
    assert found.problems.first()[0].detail == "100,000 instead of 100,001"


def test_a_line_that_is_too_long_for_a_table_is_one_problem(tmp_path: Path):
    content = b"text\nfirst words\n" + b"x" * ((1 << 24) + 5) + b"\nlast words\n"
    texts, problems = read(write(tmp_path / "a.csv", content))
    assert texts == ["first words", "last words"]
    assert [(problem.row, problem.reason) for problem in problems.first()] == [(2, "line too long")]


@pytest.mark.parametrize(("rule", "megabytes"), [("line", 64), ("file", 64)])
def test_one_giant_line_is_read_in_bounded_memory(tmp_path: Path, rule: str, megabytes: int):
    path = tmp_path / "a.txt"
    with path.open("wb") as stream:
        for _ in range(megabytes):
            stream.write(b"some words " * ((1 << 20) // 11) + b"tail ")
    program = textwrap.dedent(
        f"""
        from headwater.data import Problems, read_documents
        from headwater.training.precision import peak_memory
        before = peak_memory()
        problems = Problems()
        size = sum(len(e.text) for e in read_documents({str(path)!r}, problems=problems, document={rule!r}))
        grown = (peak_memory() - before) // 1024
        print(size, problems.total, sum(problems.notes.values()), grown)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    size, lost, cuts, kilobytes = map(int, done.stdout.split())
    assert lost == 0 and cuts >= megabytes - 1
    assert size > 0.999 * path.stat().st_size  # only white space at the cuts is trimmed
    assert kilobytes < 24 << 10, "peak memory grew with the length of the line"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300), name=st.sampled_from(["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.json"])
)
def test_any_bytes_are_read_or_refused_in_our_own_words(tmp_path: Path, content: bytes, name: str):
    try:
        texts, problems = read(write(tmp_path / name, content))
    except BadDataError:
        return
    assert all(text.encode() for text in texts)
    assert problems.rows >= problems.total


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from('a",\n ;'), max_size=6), min_size=1, max_size=3),
        min_size=1,
        max_size=8,
    )
)
def test_rows_used_and_rows_reported_are_all_the_rows(tmp_path: Path, rows: list[list[str]]):
    """Every line that is not blank ends up in a row of cells or in a problem."""
    content = "text,label\n" + "\n".join(",".join(cells) for cells in rows) + "\n"
    table = open_table(find_sources(write(tmp_path / "a.csv", content))[0])
    found = list(table.rows(table.columns))
    inside = sum("".join(cell or "" for cell in row.cells).count("\n") for row in found)
    lines = [line for line in content.split("\n")[1:] if line]
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    assert len(found) + inside >= len(lines)
