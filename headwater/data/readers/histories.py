"""Histories: what each user did, in the order of time, from tables of events or from rows of ready lists.

An event is a row of a table with a user, an item and a time. A history is one text: the items of one user, blanks
between them.
"""

import json
import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Example, LabelledSet
from headwater.data.files import Source, find_sources
from headwater.data.kinds import PathLike, Split
from headwater.data.problems import Problems
from headwater.data.readers.columns import listed, require_column
from headwater.data.readers.labelled import opened, read_labelled, sources_of_split
from headwater.data.readers.sources import MAX_BAD, guarded, in_parts, names_of, open_table, why_nothing
from headwater.data.readers.table import Table
from headwater.errors import BadDataError

Integers = NDArray[np.int64]
ITEMS = "items"
"""The column of a table that holds whole histories."""

_NAMES = {
    "user": (
        *("userid", "user", "uid", "customerid", "customer", "memberid", "member", "visitorid", "visitor"),
        *("reviewerid", "reviewer", "accountid", "account", "sessionid", "session", "用户id", "用户"),
    ),
    "item": (
        *("itemid", "item", "movieid", "movie", "productid", "product", "asin", "isbn", "sku", "articleid"),
        *("article", "bookid", "book", "trackid", "track", "songid", "song", "gameid", "game", "businessid"),
        *("物品id", "物品", "商品id", "商品"),
    ),
    "time": (
        *("timestamp", "time", "datetime", "date", "eventtime", "unixreviewtime", "createdat", "ts"),
        *("时间戳", "时间", "日期"),
    ),
}
"""Names of columns, the surest first; case, blanks and signs in them do not count."""
_signs = re.compile(r"[\W_]+")
_blanks = re.compile(r"\s")
_between = re.compile(r"[ \t\r\n]+")
_BLANK_IN_AN_ITEM = "\u00a0"  # an item may hold a blank; items stand apart by one
_REMEDY = "name three: --text USER,ITEM,TIME"


class Event(NamedTuple):
    """One row: who, what, when (seconds since 1970, or whatever the table counts in)."""

    user: str
    item: str
    time: float
    path: str
    row: int


def read_histories(
    path: PathLike,
    *,
    columns: Sequence[str] | None = None,
    split: Split | None = None,
    max_bad: float = MAX_BAD,
    every_part: bool = False,
) -> LabelledSet:
    """The history of every user of a table of events, or the rows of a table whose column ``items`` holds histories.

    ``columns`` names user, item and time, or the one column of ready lists; without it they are found by their names.
    Rows may stand in any order: a user's events are sorted by time, those of one moment by item (numbers by size),
    so the history does not depend on the file's order. A row without user or item, with a time that is neither a number
    nor a date, or that says the same event once more, is left out and reported. With ``every_part`` no part is chosen.
    """
    problems = Problems()
    sources = find_sources(path, problems=problems)
    if not every_part:
        sources = sources_of_split(in_parts(sources), split)
    found = _columns_of(sources, columns)
    if len(found) == 1:
        return _ready_lists(path, found[0], split, max_bad, every_part=every_part)
    events = _Events()
    for source in sources:
        rows = _rows_of(source, found, problems)
        for event in guarded(rows, source, problems, max_bad=max_bad):
            events.add(event)
    if not len(events):
        raise BadDataError(f"{names_of(sources)}: no usable row; {why_nothing(sources, problems)}")
    return events.histories(found, problems)


def history_of(cell: str) -> str:
    """A history from what a cell or a line holds: a JSON list of items, or items between blanks."""
    if cell.startswith("[") and cell.endswith("]"):
        try:
            return " ".join(filter(None, (_as_word(str(item)) for item in json.loads(cell))))
        except (ValueError, RecursionError):
            pass
    return " ".join(_between.split(cell.strip(" \t\r\n")))


def items_in(history: str) -> list[str]:
    """The items of a history, in the order of time."""
    return history.split(" ") if history else []


def item_name(word: str) -> str:
    """An item as the user wrote it, from its word in a history."""
    return word.replace(_BLANK_IN_AN_ITEM, " ")


def moment(cell: str) -> float | None:
    """A time as a number: what is one already, or the seconds since 1970 of a date (UTC where it names no zone)."""
    try:
        number = float(cell)
        return number if math.isfinite(number) else None
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(cell.replace("/", "-"))
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def event_columns(table: Table, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """The columns of user, item and time, or the one of ready lists; None where the table has no such columns."""
    if given is not None and not (set(given) & set(table.columns) or ITEMS in table.columns):
        return None
    if given is not None and set(given) & set(table.columns):
        for name in given:
            require_column(name, table)
        return tuple(given)
    if ITEMS in table.columns:
        return (ITEMS,)
    named = tuple(_named_like(role, table.columns) for role in _NAMES)
    return tuple(name for name in named if name) if all(named) else None


def _named_like(role: str, columns: Sequence[str]) -> str | None:
    plain = {_signs.sub("", name).casefold(): name for name in reversed(columns)}
    return next((plain[name] for name in _NAMES[role] if name in plain), None)


def _columns_of(sources: Sequence[Source], given: Sequence[str] | None) -> tuple[str, ...]:
    if given is not None and len(given) not in (1, 3):
        raise BadDataError(
            f"found {len(given)} names of columns ({', '.join(given)}); expected three (user, item, time) or one, "
            f"of ready lists of items: {_REMEDY}"
        )
    tables = [opened(source) for source in sources if source.kind != "text"]
    if not tables:
        raise BadDataError(
            f"{names_of(sources)}: plain text holds no events; give a csv, tsv, jsonl or parquet table with columns of "
            "user, item and time"
        )
    for table in tables:
        if found := event_columns(table, given):
            return found
    first = tables[0]
    for name in given or ():
        require_column(name, first)
    missing = [role for role in _NAMES if _named_like(role, first.columns) is None]
    some = ", ".join(_NAMES[missing[0]][:4])
    raise BadDataError(
        f"{first.path}: no column is named like {' or '.join(missing)} ({some}, …); the columns are "
        f"{listed(first.columns)}; {_REMEDY}"
    )


def _ready_lists(
    path: PathLike, column: str, split: Split | None, max_bad: float, *, every_part: bool
) -> LabelledSet:
    found = read_labelled(
        path, text=(column,), split=split, need_labels=False, max_bad=max_bad, every_part=every_part
    )
    examples = [example._replace(texts=(history_of(example.text),), label=None) for example in found.examples]
    words = [items_in(example.text) for example in examples]
    facts: dict[str, Any] = {
        "users": len(examples),
        "items": len({word for history in words for word in history}),
        "events": sum(map(len, words)),
        "repeated": sum(len(history) - len(set(history)) for history in words),
    }
    return LabelledSet(
        examples=examples, text_columns=(column,), label_column=None, problems=found.problems, facts=facts
    )


def _rows_of(source: Source, columns: Sequence[str], problems: Problems) -> Iterator[Event]:
    table = None if source.kind == "text" else open_table(source)
    if table is None or not set(columns) <= set(table.columns):
        problems.add(source.path, 0, "no table of events")
        return
    for row in table.rows(columns):
        problems.rows += 1
        if row.problem:
            problems.add(source.path, row.number, row.problem, row.detail)
            continue
        user, item, time = ((cell or "").strip() for cell in row.cells)
        when = moment(time)
        if not user or not item:
            problems.add(source.path, row.number, "empty item" if user else "empty user")
        elif when is None:
            problems.add(source.path, row.number, "time is neither a number nor a date", time[:40])
        else:
            yield Event(user, _as_word(item), when, source.path, row.number)


def _as_word(item: str) -> str:
    return _blanks.sub(_BLANK_IN_AN_ITEM, item.strip())


class _Columns(NamedTuple):
    """Events as numbers: users, items and files in the order in which they were met."""

    users: NDArray[Any]
    items: NDArray[Any]
    times: NDArray[Any]
    files: NDArray[Any]
    rows: NDArray[Any]

    def at(self, places: NDArray[Any]) -> "_Columns":
        """The events at these places."""
        return _Columns(*(part[places] for part in self))

    def as_before(self, *names: str) -> NDArray[np.bool_]:
        """True where an event has the same values in these columns as the one before it."""
        same = np.ones(max(0, len(self.users) - 1), np.bool_)
        for name in names:
            same &= np.diff(getattr(self, name)) == 0
        return np.append(False, same)


class _Events:
    """Events in memory, 40 bytes each."""

    def __init__(self) -> None:
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._places = (array("q"), array("q"), array("q"), array("q"))
        self._times = array("d")

    def add(self, event: Event) -> None:
        """Take one more."""
        user = self._users.setdefault(event.user, len(self._users))
        item = self._items.setdefault(event.item, len(self._items))
        file = self._files.setdefault(event.path, len(self._files))
        for column, value in zip(self._places, (user, item, file, event.row), strict=True):
            column.append(value)
        self._times.append(event.time)

    def __len__(self) -> int:
        return len(self._times)

    def histories(self, columns: Sequence[str], problems: Problems) -> LabelledSet:
        """The events of each user in the order of time; users in the order of the file."""
        names, paths, users = list(self._items), list(self._files), list(self._users)
        events = self._in_order(problems)
        starts = np.flatnonzero(~events.as_before("users"))
        parts = np.split(events.items, starts[1:])
        examples = [
            Example(
                (" ".join([names[item] for item in items.tolist()]),),
                None,
                paths[file],
                row,
                owner=users[user],
            )
            for items, file, row, user in zip(
                parts,
                events.files[starts].tolist(),
                events.rows[starts].tolist(),
                events.users[starts].tolist(),
                strict=True,
            )
        ]
        pairs = np.unique(events.users * len(names) + events.items)
        facts = {
            "users": len(examples),
            "items": len(names),
            "events": len(events.users),
            "repeated": len(events.users) - len(pairs),
            "at_once": int(events.as_before("users", "times").sum()),
            **_span(events.times),
        }
        return LabelledSet(
            examples=examples,
            text_columns=tuple(columns),
            label_column=None,
            problems=problems,
            facts=facts,
        )

    def _in_order(self, problems: Problems) -> _Columns:
        """By user, by time, by item; an event that stands there twice counts once."""
        users, items, files, rows = (np.frombuffer(column, np.int64) for column in self._places)
        events = _Columns(users, items, np.frombuffer(self._times), files, rows)
        ranks = _ranks(list(self._items))
        events = events.at(np.lexsort((ranks[events.items], events.times, events.users)))
        again = events.as_before("users", "times", "items")
        paths = list(self._files)
        for file, row in zip(events.files[again].tolist(), events.rows[again].tolist(), strict=True):
            problems.add(paths[file], row, "the same event once more")
        return events.at(~again)


def _ranks(names: Sequence[str]) -> Integers:
    """The place of each item among all: numbers by size, then other names by their letters."""
    order = sorted(range(len(names)), key=lambda place: _sorted_by(names[place]))
    ranks = np.empty(len(names), np.int64)
    ranks[order] = np.arange(len(names))
    return ranks


def _sorted_by(name: str) -> tuple[bool, int, str]:
    number = name.isdecimal() and len(name) < 20  # longer ones are no counts
    return not number, int(name) if number else 0, name


def _span(times: NDArray[np.float64]) -> Mapping[str, str]:
    """From when to when: as dates where the numbers can be seconds or milliseconds since 1970."""
    first, last = float(times.min()), float(times.max())
    for unit in (1.0, 1_000.0):
        if first / unit > 1e8 and last / unit < 1e10:  # 1973 to 2286
            dates = [datetime.fromtimestamp(value / unit, UTC).date() for value in (first, last)]
            return {"from": str(dates[0]), "to": str(dates[1])}
    return {"from": f"{first:g}", "to": f"{last:g}"}
