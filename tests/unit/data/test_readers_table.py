import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from headwater.data import Problems, find_sources, read_documents, read_labelled
from headwater.data.readers.delimited import Dialect, guess_dialect, is_header, split_records
from headwater.data.readers.sources import open_table
from headwater.data.readers.table import distinct_names
from headwater.errors import BadDataError, MissingInputError

ROWS = [(f"The film number {n} was a long and quiet one.", "good" if n % 2 else "bad") for n in range(30)]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def delimited(path: Path, delimiter: str) -> Path:
    lines = [delimiter.join(("text", "label")), *(delimiter.join(row) for row in ROWS)]
    return write(path, "\n".join(lines) + "\n")


def as_json_lines() -> str:
    return "\n".join(json.dumps({"text": text, "label": label}) for text, label in ROWS)


def as_json_array() -> str:
    return json.dumps([{"text": text, "label": label} for text, label in ROWS], indent=1)


def as_parquet(path: Path) -> Path:
    table = pa.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})
    pyarrow.parquet.write_table(table, path, row_group_size=7)
    return path


def as_arrow(path: Path) -> Path:
    table = pa.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})
    pyarrow.feather.write_feather(table, path, chunksize=7)
    return path


def as_arrow_stream(path: Path) -> Path:
    table = pa.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return path


@pytest.mark.parametrize("form", ["csv", "semicolon", "tsv", "jsonl", "json", "parquet", "arrow", "stream"])
def test_every_format_gives_the_same_rows(tmp_path: Path, form: str):
    path = {
        "csv": lambda: delimited(tmp_path / "a.csv", ","),
        "semicolon": lambda: delimited(tmp_path / "b.csv", ";"),
        "tsv": lambda: delimited(tmp_path / "a.tsv", "\t"),
        "jsonl": lambda: write(tmp_path / "a.jsonl", as_json_lines()),
        "json": lambda: write(tmp_path / "a.json", as_json_array()),
        "parquet": lambda: as_parquet(tmp_path / "a.parquet"),
        "arrow": lambda: as_arrow(tmp_path / "a.feather"),
        "stream": lambda: as_arrow_stream(tmp_path / "a.arrow"),
    }[form]()
    found = read_labelled(path)
    assert [(example.text, example.label) for example in found.examples] == ROWS
    assert [example.row for example in found.examples] == list(range(1, 31))
    assert (found.text_columns, found.label_column) == (("text",), "label")
    assert found.problems.total == 0


def test_the_csv_module_and_we_agree_on_quoted_multi_line_records(tmp_path: Path):
    rows = [
        ["text", "label"],
        ['He said "no",\nthen left.', "a"],
        ["plain words here", "b"],
        ["", "b"],
        ['"', "a"],
    ]
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    table = open_table(find_sources(path)[0])
    assert [list(row.cells) for row in table.rows(table.columns)] == rows[1:]


def test_quotes_in_an_unquoted_tsv_are_ordinary_characters(tmp_path: Path):
    lines = [
        "label\ttext",
        'a\t"Stars" shine',
        'b\the said "yes" to it',
        'a\t"open and never closed',
        "b\tplain",
    ]
    table = open_table(find_sources(write(tmp_path / "a.tsv", "\n".join(lines)))[0])
    assert table.facts["quotes"] == "are ordinary characters"
    assert [row.cells[0] for row in table.rows(["text"])] == [line.split("\t")[1] for line in lines[1:]]


def test_a_tsv_written_with_quotes_is_read_with_them(tmp_path: Path):
    path = tmp_path / "a.tsv"
    rows = [["text", "label"], ['say "a" and "b"', "x"], ["tab\there", "y"], ["nothing special", "x"]]
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter="\t").writerows(rows)
    table = open_table(find_sources(path)[0])
    assert [list(row.cells) for row in table.rows(table.columns)] == rows[1:]


def test_a_quote_that_never_closes_costs_one_line():
    lines = ["text,label", '"open,a', "one,b", "two,a"]
    records = list(split_records(lines, Dialect(",", True)))
    assert [record.problem for record in records] == ["", "bad quotes", "", ""]
    assert records[2].cells == ["one", "b"]


def test_two_stray_quotes_do_not_glue_two_rows_together():
    lines = ["text,label", '"open,a', '"also open,b', "two,a"]
    records = list(split_records(lines, Dialect(",", True)))
    assert [bool(record.cells) for record in records] == [True, False, False, True]


def test_a_ragged_row_is_reported_with_its_number(tmp_path: Path):
    path = write(tmp_path / "a.csv", "text,label\none two three,a\nfour,b,c\nfive\nsix seven eight,b\n" * 1)
    found = read_labelled(path, text="text", label="label", max_bad=0.9)
    assert [example.row for example in found.examples] == [1, 4]
    assert [(problem.row, problem.detail) for problem in found.problems.first()] == [
        (2, "3 instead of 2"),
        (3, "1 instead of 2"),
    ]


def test_a_column_of_one_name_needs_no_delimiter(tmp_path: Path):
    path = write(tmp_path / "a.csv", "text\nfirst, with a comma\nsecond\n")
    assert [example.text for example in read_documents(path, problems=Problems())] == [
        "first, with a comma",
        "second",
    ]


def test_a_file_without_header_keeps_its_first_row(tmp_path: Path):
    path = write(
        tmp_path / "a.csv", "".join(f'{n % 4},"A sentence, the {n}th of them."\n' for n in range(30))
    )
    found = read_labelled(path)
    assert (found.text_columns, found.label_column) == (("column_2",), "column_1")
    assert len(found) == 30


@pytest.mark.parametrize(
    ("first", "expected"),
    [(["text", "label"], True), (["1", "a"], False), (["0", "1", "2"], True), (["x" * 100, "a"], False)],
)
def test_a_first_row_with_numbers_or_texts_is_no_header(first: list[str], expected: bool):
    assert is_header(first) is expected


def test_duplicate_and_empty_headers_are_told_apart():
    assert distinct_names(["text", "text", "", "text_2"]) == ("text", "text_2", "column_3", "text_2_2")


def test_the_delimiter_is_the_one_with_the_fewest_flawed_lines():
    sample = ["a text;label, kind", "x, y, z;1", "u;2", "v, w;3"]
    assert guess_dialect(sample, ",;\t|", quoted=True).delimiter == ";"


def test_a_wrong_column_name_proposes_the_nearest(tmp_path: Path):
    path = delimited(tmp_path / "a.csv", ",")
    with pytest.raises(
        BadDataError, match='no column "lable"; the columns are text, label; did you mean "label"'
    ):
        read_labelled(path, label="lable")


def test_named_columns_overrule_the_guess(tmp_path: Path):
    path = write(
        tmp_path / "a.csv", "kind,title,text,label\n" + "k,Some title here,Some more text here,x\n" * 3
    )
    found = read_labelled(path, text="text, title", label="kind")
    assert found.examples[0].texts == ("Some more text here", "Some title here")
    assert found.examples[0].label == "k"


def test_a_column_cannot_be_text_and_label(tmp_path: Path):
    with pytest.raises(BadDataError, match="text and label at once"):
        read_labelled(delimited(tmp_path / "a.csv", ","), text="text", label="text")


def test_numbers_and_identifiers_never_enter_the_pool(tmp_path: Path):
    rows = "".join(f"{n},user_{n:04},{n * 1.5},Words that make a sentence {n},2\n" for n in range(40))
    path = write(tmp_path / "a.csv", "id,user,price,review,label\n" + rows)
    pool = list(read_documents(path, problems=Problems()))
    assert pool[0].texts == ("Words that make a sentence 0",)
    assert all(example.label is None for example in pool)


def test_a_lone_column_of_few_values_is_the_label(tmp_path: Path):
    rows = "".join(f"The sentence number {n} says something,{'ab'[n % 2]}\n" for n in range(40))
    assert read_labelled(write(tmp_path / "a.csv", "comment,kind\n" + rows)).label_column == "kind"


def test_two_columns_of_few_values_need_a_name(tmp_path: Path):
    rows = "".join(f"The sentence number {n} says something,{'ab'[n % 2]},{'cd'[n % 2]}\n" for n in range(40))
    with pytest.raises(BadDataError, match="name one with --label"):
        read_labelled(write(tmp_path / "a.csv", "comment,kind,sort\n" + rows))


def test_a_quantity_is_refused_as_a_class(tmp_path: Path):
    rows = "".join(f"The sentence number {n} says something\t{n / 7:.3f}\n" for n in range(60))
    with pytest.raises(BadDataError, match="a quantity and not a class; put them into classes"):
        read_labelled(write(tmp_path / "a.tsv", "text\tscore\n" + rows))


def test_an_empty_label_is_reported_only_where_labels_are_needed(tmp_path: Path):
    path = write(tmp_path / "a.csv", "text,label\nsome words here,a\nmore words here,\nlast words here,b\n")
    assert read_labelled(path).problems.by_reason() == {"empty label": 1}
    assert [example.label for example in read_labelled(path, need_labels=False).examples] == ["a", None, "b"]


def test_rows_without_a_label_column_can_be_predicted(tmp_path: Path):
    path = write(tmp_path / "a.csv", "text\nsome words here\nmore words here\n")
    assert [example.label for example in read_labelled(path, need_labels=False).examples] == [None, None]


def test_an_empty_text_beside_a_filled_one_stays(tmp_path: Path):
    path = write(tmp_path / "a.csv", "title,text,label\n,some words here,a\nA title here,,b\n,,a\n")
    found = read_labelled(path, text="title,text")
    assert [example.texts for example in found.examples] == [("", "some words here"), ("A title here", "")]
    assert [example.text for example in found.examples] == ["some words here", "A title here"]
    assert found.problems.by_reason() == {"empty text": 1}


def test_a_folder_gives_the_part_that_is_asked_for(tmp_path: Path):
    for name in ("train", "dev", "test"):
        write(tmp_path / f"{name}.csv", "text,label\n" + f"words of the {name} part,a\n" * 3)
    assert read_labelled(tmp_path).examples[0].text == "words of the train part"
    assert read_labelled(tmp_path, split="validation").examples[0].text == "words of the dev part"
    (tmp_path / "test.csv").unlink()
    with pytest.raises(MissingInputError, match=r"no test part.*train, validation"):
        read_labelled(tmp_path, split="test")


def test_columns_are_guessed_on_the_train_part(tmp_path: Path):
    rows = "".join(f"A fairly long sentence, number {n}\t{n}\n".replace(", ", " ") for n in range(50))
    write(tmp_path / "train.tsv", "sentence\tx\n" + rows)
    write(tmp_path / "test.tsv", "sentence\tx\nhm\t1\nno\t2\n")
    found = read_labelled(tmp_path, split="test", need_labels=False)
    assert found.text_columns == ("sentence",)


def test_text_files_in_class_folders_take_the_folder_as_label(tmp_path: Path):
    for label in ("neg", "pos"):
        (tmp_path / "train" / label).mkdir(parents=True)
        for number in range(2):
            write(
                tmp_path / "train" / label / f"{number}.txt", f"First line of {label}.\n\nLast line {number}."
            )
    found = read_labelled(tmp_path / "train")
    assert found.label_counts() == {"neg": 2, "pos": 2}
    assert found.examples[0].text == "First line of neg.\n\nLast line 0."


def test_more_than_half_unusable_rows_stop_the_reading(tmp_path: Path):
    path = write(tmp_path / "a.csv", "text,label\n" + "some words here,a\n" * 3 + "a,b,c\n" * 5)
    with pytest.raises(BadDataError, match=r"5 of 8 rows cannot be used \(5 wrong number of cells\)"):
        read_labelled(path)
    assert len(read_labelled(path, max_bad=0.7)) == 3


def test_typed_values_become_the_text_a_person_would_write(tmp_path: Path):
    table = pa.table(
        {
            "text": ["one two three", None, "four five six"],
            "label": pa.array([1, 2, None]),
            "whole": [True, False, None],
            "real": [0.5, float("nan"), 2.0],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    found = open_table(find_sources(tmp_path / "a.parquet")[0])
    cells = [row.cells for row in found.rows(["label", "whole", "real"])]
    assert cells == [("1", "true", "0.5"), ("2", "false", None), (None, None, "2.0")]


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "rows", "text", "label"),
    [
        ("classification_en/ag_news_7600", (5700, 380, 1520), ("title", "text"), "label"),
        ("classification_zh/chnsenticorp", (9600, 1200, 1200), ("text",), "label"),
        ("classification_zh/online_shopping_7_cats", (40768, 1346, 2687), ("text",), "label"),
    ],
)
def test_the_public_sets_are_understood_without_help(
    data_sets: Path, folder: str, rows: tuple[int, ...], text: tuple[str, ...], label: str
):
    for split, expected in zip(("train", "validation", "test"), rows, strict=True):
        found = read_labelled(data_sets / folder, split=split)
        assert (len(found), found.problems.total) == (expected, 0)
        assert (found.text_columns, found.label_column) == (text, label)


@pytest.mark.data
def test_every_part_read_alone_finds_the_same_columns(data_sets: Path):
    for folder in (
        "classification_en/ag_news_7600",
        "classification_en/movie_review_sentences",
        "pairs/lcqmc_zh",
    ):
        files = sorted((data_sets / folder).glob("*.tsv"))
        found = {(part.text_columns, part.label_column) for part in map(read_labelled, files)}
        assert len(found) == 1, folder


@pytest.mark.data
def test_shares_in_per_cent_are_quantities_too(tmp_path: Path) -> None:
    rows = [f"a text of its own {number},{number + 0.5}%" for number in range(40)]
    (tmp_path / "shares.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    with pytest.raises(BadDataError, match="a quantity and not a class"):
        read_labelled(tmp_path / "shares.csv")


def test_each_line_of_a_named_text_file_is_a_row_to_answer(tmp_path: Path) -> None:
    lines = [f"Quiet {word} over the old harbour wall" for word in "abcdefghijkl"]
    (tmp_path / "lines.txt").write_text("\n".join([*lines[:5], "", *lines[5:]]) + "\n")
    found = read_labelled(tmp_path / "lines.txt", need_labels=False)
    assert [example.text for example in found.examples] == lines
    (tmp_path / "page.md").write_text("\n".join(lines) + "\n")
    assert len(read_labelled(tmp_path / "page.md", need_labels=False).examples) == 1


def test_the_sts_scores_are_recognised_as_a_quantity(data_sets: Path):
    with pytest.raises(BadDataError, match="quantity"):
        read_labelled(data_sets / "pairs/sts_benchmark_en")
