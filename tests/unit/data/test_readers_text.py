import gzip
import os
import zipfile
from pathlib import Path

import pytest

from headwater.data import Problems, find_sources, read_documents, read_labelled
from headwater.data.encodings import encoding_named
from headwater.data.readers import text as reader
from headwater.data.readers.text import guess_document_rule
from headwater.errors import BadDataError, SettingsError


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def texts(path: Path, *, document: str | None = None) -> list[str]:
    return [example.text for example in read_documents(path, problems=Problems(), document=document)]


STORY = "One line here.\nAnother line.\n\nA second block.\n\n\n\nA third\nof two lines.\n"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("line", ["One line here.", "Another line.", "A second block.", "A third", "of two lines."]),
        ("block", ["One line here.\nAnother line.", "A second block.", "A third\nof two lines."]),
        ("file", [STORY.strip()]),
    ],
)
def test_one_document_a_line_a_block_or_a_file(tmp_path: Path, rule: str, expected: list[str]):
    assert texts(write(tmp_path / "a.txt", STORY), document=rule) == expected


def test_a_document_knows_the_line_where_it_begins(tmp_path: Path):
    found = read_documents(write(tmp_path / "a.txt", STORY), problems=Problems(), document="block")
    assert [example.row for example in found] == [1, 4, 8]


def test_an_unknown_rule_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match='choose "file", "line" or "block"'):
        texts(write(tmp_path / "a.txt", STORY), document="page")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("blocks.txt", "First block.\n\nSecond block.\n", "block"),
        ("lines.txt", "A first sentence.\nA second one.\nA third.\n", "line"),
        ("notes.md", "# Title\n\nText.\n", "file"),
        (
            "wrapped.txt",
            "all of these words run on and on to\nthe very end of each of the lines an\n" * 10,
            "file",
        ),
        (
            "headlines.txt",
            "Harbour wall falls in heavy storm\nCouncil votes for a longer quay\n" * 10,
            "line",
        ),
        (
            "wrapped_zh.txt",
            "那一年的冬天雪下得很大我们都没有\n出门只是坐在炉火旁边听祖父讲他年\n" * 10,
            "file",
        ),
        ("one.txt", "Only one line", "line"),
    ],
)
def test_the_rule_is_guessed_from_the_file(tmp_path: Path, name: str, content: str, expected: str):
    assert guess_document_rule(find_sources(write(tmp_path / name, content))[0]) == expected


def test_many_small_files_are_one_document_each(tmp_path: Path):
    for number in range(20):
        write(tmp_path / f"{number:02}.txt", f"Review {number}.\n\nIt has two paragraphs.\n")
    assert len(texts(tmp_path)) == 20


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"]
)
def test_the_encoding_is_sniffed(tmp_path: Path, encoding: str):
    lines = [
        "今天天气很好，我们去公园散步。",
        "The second line is English.",
        "第三行：価格 £5 naïve 𠮷。",
    ] * 3
    path = write(tmp_path / "a.txt", "\n".join(lines), encoding)
    assert texts(path, document="line") == lines


def test_an_encoding_that_shows_late_is_sniffed_as_well(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"only ascii here\n" * 100_000 + "今天天气很好，我们去散步。\n".encode("gb18030") * 3)
    assert texts(path, document="line")[-1] == "今天天气很好，我们去散步。"


SAMPLES = {
    "fr": ("Élève à l'école où naît l'été", ("cp1252",)),
    "de": ("Die Pumpe läuft, aber die Dichtung müßte größer sein.", ("cp1252",)),
    "en": ("The pump doesn’t run, it’s broken – “badly”.", ("cp1252",)),
    "pl": ("Zażółć gęślą jaźń, proszę sprawdzić ciśnienie.", ("cp1250", "iso8859-2")),
    "tr": ("Pompa çalışıyor ama şu contayı değiştirmeniz gerekiyor, lütfen.", ("cp1254",)),
    "ru": ("Проверьте давление в насосе и выключите двигатель.", ("cp1251", "koi8-r")),
    "el": ("Ελέγξτε την πίεση της αντλίας και απενεργοποιήστε.", ("cp1253",)),
    "he": ("בדקו את לחץ המשאבה וכבו את המנוע בבקשה.", ("cp1255",)),
    "ar": ("افحص ضغط المضخة وأوقف المحرك من فضلك.", ("cp1256",)),
    "ja": ("ポンプの圧力を確認して、モーターを止めてください。", ("shift_jis", "euc_jp")),
    "ko": ("펌프의 압력을 확인하고 모터를 꺼 주세요.", ("euc_kr",)),
    "zh-tw": ("請檢查水泵的壓力,然後關閉馬達。", ("big5",)),
    "zh": ("请检查水泵的压力,然后关闭马达。", ("gb18030",)),
}


@pytest.mark.parametrize(
    ("text", "encoding"), [(text, encoding) for text, encodings in SAMPLES.values() for encoding in encodings]
)
def test_what_files_were_in_before_utf_8_is_guessed_and_said(tmp_path: Path, text: str, encoding: str):
    path = write(tmp_path / "a.txt", f"{text}\n" * 5 + "plain\n" * 20, encoding)
    problems = Problems()
    read = [example.text for example in read_documents(path, problems=problems, document="line")]
    assert read == [text] * 5 + ["plain"] * 20
    assert any("guessed; name another encoding with --encoding" in note for note in problems.notes)


def test_a_named_encoding_is_used_where_bytes_do_not_speak_for_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADWATER_ENCODING", "cp437")
    assert texts(write(tmp_path / "a.txt", "naïve\n", "cp437")) == ["naïve"]
    assert texts(write(tmp_path / "b.txt", "naïve\n", "utf-8")) == ["naïve"]  # it speaks for itself
    assert texts(write(tmp_path / "c.txt", "naïve\n", "utf-16")) == ["naïve"]
    with encoding_named("cp1252"):
        assert texts(write(tmp_path / "d.txt", "naïve\n", "cp1252")) == ["naïve"]
    assert os.environ["HEADWATER_ENCODING"] == "cp437"
    for name in ("klingon", "rot13", "base64", "undefined"):
        monkeypatch.setenv("HEADWATER_ENCODING", name)
        with pytest.raises(SettingsError, match=f"no encoding {name}; expected one like utf-8"):
            texts(tmp_path / "a.txt")
    monkeypatch.setenv("HEADWATER_ENCODING", "utf-16")
    assert texts(write(tmp_path / "e.txt", "naïve\n", "utf-16-le")) == ["naïve"]
    assert texts(write(tmp_path / "f.txt", "plain\n")) == ["plain"]
    monkeypatch.setenv("HEADWATER_ENCODING", "iso2022_jp")
    assert texts(write(tmp_path / "g.txt", "日本の海\n", "iso2022_jp")) == ["日本の海"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Andò perì tornò lunedì in città", "cp1252"),
        ("A naïve résumé in a café", "cp1252"),
        ("It’s “fine” – he said…", "cp1252"),
        ("£5 for the pump", "cp1252"),
        ("Está muy bien el niño", "cp1252"),
    ],
)
def test_few_accents_among_plain_letters_are_western(tmp_path: Path, content: str, expected: str):
    path = write(tmp_path / "a.txt", f"{content}\n" * 20, "cp1252")
    assert find_sources(path)[0].encoding.codec == expected
    assert texts(path) == [content] * 20 or texts(path, document="file")


def test_damage_is_not_taken_for_an_encoding(tmp_path: Path):
    for number, content in enumerate(
        (b"abc \xff def\n" * 20, b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "déjà\n".encode()[:-2] * 9, b"x\xc3\n" * 5)
    ):
        path = tmp_path / f"{number}.txt"
        path.write_bytes(b"some plain words\n" * 50 + content)
        assert find_sources(path)[0].encoding.codec == "utf-8"


class Unmarked(zipfile.ZipInfo):
    """A member as programs write it that know one encoding and do not say which."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 (zipfile's own name)
        return self.filename.encode("gb18030"), self.flag_bits


def test_names_in_a_zip_are_read_as_they_were_written(tmp_path: Path):
    names = ["好评/第一条.txt", "差评/第二条.txt"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(Unmarked(name), f"{name} 是一篇评论")
    assert [source.member for source in find_sources(tmp_path / "a.zip")] == names
    assert read_labelled(tmp_path / "a.zip").labels == ("好评", "差评")


@pytest.mark.parametrize("encoding", ["cp437", "cp850", "latin-1"])
def test_zips_of_old_machines_are_read(tmp_path: Path, encoding: str):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(Unmarked("x.txt"), "a note of some words")
    raw = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(raw.replace(b"x.txt", "é.txt".encode(encoding)))
    assert texts(tmp_path / "a.zip") == ["a note of some words"]


def test_lines_end_at_line_breaks_and_nowhere_else(tmp_path: Path):
    path = write(tmp_path / "a.txt", "one\u2028still one\x0bhere\r\ntwo\rthree\n")
    assert texts(path, document="line") == ["one\u2028still one\x0bhere", "two", "three"]


def test_a_gzip_file_reads_like_the_plain_one(tmp_path: Path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(STORY.encode()))
    assert texts(tmp_path / "a.txt.gz", document="block") == texts(
        write(tmp_path / "b.txt", STORY), document="block"
    )


@pytest.mark.parametrize("rule", ["line", "block", "file"])
def test_a_long_document_is_cut_and_nothing_is_lost(
    tmp_path: Path, rule: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reader, "MAX_DOCUMENT_CHARACTERS", 100)
    path = write(tmp_path / "a.txt", "".join(f"{number:03}" for number in range(300)))
    problems = Problems()
    found = [example.text for example in read_documents(path, problems=problems, document=rule)]
    assert "".join(found) == path.read_text()
    assert max(map(len, found)) <= 100
    assert problems.total == 0 and problems.rows == len(found)
    assert sum(problems.notes.values()) == len(found) - 1


def test_the_parts_for_judging_never_enter_the_pool(tmp_path: Path):
    for name in ("train", "valid", "test", "more"):
        write(tmp_path / f"{name}.txt", f"Words of {name}.\n")
    assert texts(tmp_path) == ["Words of more.", "Words of train."]
    assert texts(tmp_path / "test.txt") == ["Words of test."]


def test_a_folder_of_test_files_alone_is_refused(tmp_path: Path):
    write(tmp_path / "test.txt", "Words.\n")
    with pytest.raises(BadDataError, match="never enter the pool"):
        texts(tmp_path)
    assert len(list(read_documents(tmp_path, problems=Problems(), splits=None))) == 1


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "documents"),
    [
        ("lm/english_mixed/train.txt", 1998),
        ("lm/chinese_tang_poems/train.txt", 49276),
        ("lm/chinese_modern_mixed/train.txt", 99060),
    ],
)
def test_the_public_corpora_give_the_documents_their_readme_states(
    data_sets: Path, path: str, documents: int
):
    problems = Problems()
    assert sum(1 for _ in read_documents(data_sets / path, problems=problems)) == documents
    assert problems.total == 0


@pytest.mark.data
def test_no_character_of_a_corpus_is_lost(data_sets: Path):
    path = data_sets / "lm/chinese_modern_mixed/valid.txt"
    assert "\n".join(texts(path)) == path.read_text(encoding="utf-8").strip()
