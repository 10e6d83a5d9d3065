"""Histories from tables of events: sorted by time, columns found by name, every row used or reported."""

import json
from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.data.examples import LabelledSet
from headwater.data.readers.histories import history_of, item_name, items_in, moment, read_histories
from headwater.errors import BadDataError

EVENTS = [("ann", "7", 30), ("bo", "7", 5), ("ann", "12", 10), ("ann", "9", 20), ("bo", "3", 6)]


def table(path: Path, rows: list[tuple[object, ...]], header: str = "user,item,time") -> Path:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def texts(found: LabelledSet) -> list[str]:
    return [example.text for example in found.examples]


def test_rows_in_any_order_give_the_same_histories(tmp_path: Path):
    for number, rows in enumerate(permutations(EVENTS)):
        found = read_histories(table(tmp_path / f"{number}.csv", list(rows)))
        assert sorted(texts(found)) == ["12 9 7", "7 3"]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_histories(tmp_path: Path, form: str):
    path = tmp_path / f"events.{form}"
    rows = [{"user_id": user, "item_id": item, "timestamp": time} for user, item, time in EVENTS]
    match form:
        case "parquet":
            pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        case _:
            sign = "," if form == "csv" else "\t"
            table(path, [], sign.join(rows[0]))
            with path.open("a", encoding="utf-8") as file:
                file.writelines(sign.join(map(str, row.values())) + "\n" for row in rows)
    assert texts(read_histories(path)) == ["12 9 7", "7 3"]


@pytest.mark.parametrize(
    "header",
    [
        "userId,movieId,timestamp",
        "User ID,Product ID,Date",
        "reviewerID,asin,unixReviewTime",
        "用户,商品,时间",
    ],
)
def test_columns_are_found_by_their_names(tmp_path: Path, header: str):
    found = read_histories(table(tmp_path / "events.csv", [*EVENTS], header))
    assert found.text_columns == tuple(header.split(","))


def test_named_columns_overrule_the_guess(tmp_path: Path):
    rows = [(user, item, time, who) for (user, item, time), who in zip(EVENTS, "aabbb", strict=True)]
    path = table(tmp_path / "events.csv", [*rows], "user,item,time,who")
    assert texts(read_histories(path, columns=("who", "item", "time"))) == ["7 7", "3 12 9"]


def test_events_of_one_moment_stand_by_item_numbers_by_size(tmp_path: Path):
    rows = [("ann", item, 1) for item in ("100", "b", "9", "a", "20")]
    found = read_histories(table(tmp_path / "events.csv", [*rows]))
    assert texts(found) == ["9 20 100 a b"]
    assert found.facts["at_once"] == 4


def test_bad_rows_are_named_counted_and_left_out(tmp_path: Path):
    bad = [("", "7", 1), ("ann", "", 1), ("ann", "7", "soon"), ("ann", "7", "nan"), ("ann", "7", 30)]
    found = read_histories(table(tmp_path / "events.csv", [*EVENTS, *bad]))
    assert texts(found) == ["12 9 7", "7 3"]
    assert found.problems.by_reason() == {
        "time is neither a number nor a date": 2,
        "empty user": 1,
        "empty item": 1,
        "the same event once more": 1,
    }
    assert {problem.row for problem in found.problems.first()} == {6, 7, 8, 9, 10}
    assert found.problems.rows == len(EVENTS) + len(bad)


def test_what_was_understood_is_told(tmp_path: Path):
    rows = [("ann", "1", "2024-02-29"), ("ann", "2", "2024-03-01 10:00:00"), ("bo", "1", "2023/12/31")]
    rows += [("ann", "1", "2024-03-02T00:00:00+02:00")]
    found = read_histories(table(tmp_path / "events.csv", [*rows], "user,item,date"))
    assert found.facts == {
        "users": 2,
        "items": 2,
        "events": 4,
        "repeated": 1,
        "at_once": 0,
        "from": "2023-12-31",
        "to": "2024-03-01",
    }


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [("978300760", 978300760), ("1970-01-02", 86_400), ("1970-01-01T01:00:00+01:00", 0), ("soon", None)],
)
def test_times_are_numbers_or_dates(cell: str, seconds: float | None):
    assert moment(cell) == seconds


def test_a_table_without_users_is_refused_with_the_remedy(tmp_path: Path):
    path = table(tmp_path / "events.csv", [("7", 1)], "item,time")
    with pytest.raises(
        BadDataError, match=r"no column is named like user .* columns are item, time; .*--text USER,ITEM,TIME"
    ):
        read_histories(path)


def test_a_named_column_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path):
    path = table(tmp_path / "events.csv", [*EVENTS])
    with pytest.raises(BadDataError, match=r'no column "users".*did you mean "user"'):
        read_histories(path, columns=("users", "item", "time"))
    with pytest.raises(BadDataError, match="found 2 names of columns"):
        read_histories(path, columns=("user", "item"))


def test_plain_text_holds_no_events(tmp_path: Path):
    path = tmp_path / "events.txt"
    path.write_text("12 7\n", encoding="utf-8")
    with pytest.raises(BadDataError, match="plain text holds no events"):
        read_histories(path)


def test_a_table_of_items_beside_the_events_is_passed_over_and_said(tmp_path: Path):
    table(tmp_path / "events.csv", [*EVENTS])
    table(tmp_path / "films.csv", [("7", "Heat"), ("9", "Casino")], "item,title")
    found = read_histories(tmp_path)
    assert texts(found) == ["12 9 7", "7 3"]
    assert found.problems.by_reason() == {"no table of events": 1}


def test_rows_of_ready_lists_are_histories_too(tmp_path: Path):
    path = tmp_path / "histories.jsonl"
    rows = [{"items": ["12", "7"]}, {"items": [3, 4, 3]}, {"items": "a b"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = read_histories(path, columns=("user", "item", "time"))
    assert texts(found) == ["12 7", "3 4 3", "a b"]
    assert found.facts == {"users": 3, "items": 6, "events": 7, "repeated": 1}


def test_an_item_may_hold_a_blank(tmp_path: Path):
    rows = [("ann", "red shoe", 1), ("ann", "hat", 2)]
    (history,) = texts(read_histories(table(tmp_path / "events.csv", [*rows])))
    assert [item_name(item) for item in items_in(history)] == ["red shoe", "hat"]
    assert history_of('["red shoe", "hat"]') == history


@given(st.lists(st.text("ab1 é日", min_size=1).map(str.strip).filter(bool)))
def test_lists_of_items_come_back(items: list[str]):
    assert [item_name(word) for word in items_in(history_of(json.dumps(items)))] == items


def test_a_line_of_items_stands_between_blanks():
    assert items_in(history_of(" 12  7\t9 ")) == ["12", "7", "9"]
    assert items_in(history_of("[]")) == []
    assert items_in(history_of("[broken")) == ["[broken"]


@pytest.mark.data
def test_film_ratings_are_understood_without_help(data_sets: Path):
    found = read_histories(data_sets / "sequences/movielens_latest_small/ratings.tsv")
    assert found.text_columns == ("user", "item", "timestamp")
    assert (found.facts["users"], found.facts["items"], found.facts["events"]) == (610, 9_724, 100_836)
    assert (found.facts["from"], found.facts["to"]) == ("1996-03-29", "2018-09-24")
    assert found.problems.total == 0
