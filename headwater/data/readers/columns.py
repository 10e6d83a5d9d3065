"""Which columns of a table hold the texts and which the label: guessed from names and a sample."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import PurePosixPath
from statistics import median
from typing import Literal

from headwater.data.archives import until_damage
from headwater.data.characters import marks
from headwater.data.kinds import MODALITIES, kind_of
from headwater.data.readers.table import Cell, Table
from headwater.errors import BadDataError

Role = Literal["text", "label", "number", "category", "identifier", "other", "empty"]
LabelKind = Literal["class", "classes", "number", "text", "passage", "answers"]
"""What the label column of a task holds: one of a few names, several of them, a quantity, a text that is to be written,
a passage that is to be found, or parts of a text that answer a question."""

_SAMPLE_ROWS = 1000
_SAMPLE_CELLS = 400_000
_FEWEST_ROWS = 5
_CELL_CHARACTERS = 1000

LABEL_NAMES = (
    *("label", "labels", "gold_label", "class", "category", "target", "sentiment", "polarity", "intent"),
    *("emotion", "topic", "tag", "stars", "rating", "score", "y", "标签", "类别", "分类", "情感"),
)
"""Names of label columns, the surest first."""

_QUERY_NAMES = (
    *("query", "question", "anchor", "title", "headline", "sentence1", "premise"),
    *("查询", "问题", "标题"),
)
_QUESTION_NAMES = ("question", "query", "问题", "提问")
_CONTEXT_NAMES = (
    *("context", "passage", "paragraph", "document", "article", "text", "content"),
    *("上下文", "篇章", "段落", "文章", "正文", "文本"),
)
_ANSWER_NAMES = ("answers", "answer", "答案", "回答")
_TARGET_NAMES: dict[LabelKind, tuple[str, ...]] = {
    "text": (
        *("target", "tgt", "translation", "summary", "title", "headline", "answer", "response", "completion"),
        *("output", "reference", "caption", "译文", "摘要", "标题", "回答"),
    ),
    "passage": (
        *("passage", "context", "positive", "document", "text", "body", "content", "article", "abstract"),
        *("answer", "sentence2", "hypothesis", "段落", "正文", "内容", "文本", "回答"),
    ),
}
_TEXT_NAMES = frozenset(
    (
        *("text", "sentence", "sentence1", "sentence2", "content", "body", "title", "question", "answer"),
        *("context", "document", "comment", "message", "summary", "headline", "description", "query"),
        *("premise", "hypothesis", "caption", "article", "abstract", "post", "tweet", "utterance", "review"),
        *("文本", "内容", "标题", "正文", "评论", "句子", "问题", "摘要"),
    )
)
_number = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?%?|nan|inf|true|false", re.IGNORECASE)
_unspaced = re.compile("[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a sample of one column shows."""

    name: str
    role: Role
    distinct: int
    filled: int  # cells of the sample that are not empty
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a table that are used, and how each was understood."""

    text: tuple[str, ...]
    label: str | None
    label_named: bool  # by the user or by its own name, not only by its values
    understood: tuple[Column, ...]


def find_columns(
    table: Table,
    *,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    labels: LabelKind = "class",
) -> Columns:
    """The text columns and the label column of a table; ``text`` ("a,b") and ``label`` overrule the guess.

    Text: cells that read as language (two words or four unspaced characters, mostly letters) and seldom
    repeat; several columns may be so. Label: a column with a label's name, else the only one of few values. Where
    ``labels`` are texts or passages: a column with such a name, else the second text column, and the first (for
    passages: a column with a query's name) is the text. Where they are answers, the question, its context and the
    answers are known by their names alone. Of a table that says itself that all is text, every filled column is one.
    Raises BadDataError for a name that is not there, with the nearest one.
    """
    wanted = _split_names(text)
    for name in [*wanted, *([label] if label else [])]:
        require_column(name, table)
    if label in wanted:
        raise BadDataError(
            f'{table.path}: column "{label}" cannot be text and label at once; name another one'
        )
    cells = _sample(table)
    understood = [_understand(name, column) for name, column in zip(table.columns, cells, strict=True)]
    if table.all_text:
        understood = [replace(column, role="text") if column.filled else column for column in understood]
    label_named = label is not None or any(_label_rank(column.name) is not None for column in understood)
    if labels == "passage":
        wanted = wanted or list(islice(_named(understood, _QUERY_NAMES, [label or ""]), 1))
    if names := _TARGET_NAMES.get(labels):
        label = label or _guess_target(understood, cells, names, exclude=wanted)
        found = tuple(wanted) or _guess_text(understood, label, cells)[:1]
    elif labels == "answers":
        label = label or next(_named(understood, _ANSWER_NAMES, exclude=wanted), None)
        found = tuple(wanted) or _guess_question(understood, label)
    else:
        label = label or _guess_label(understood, exclude=wanted)
        found = tuple(wanted) or _guess_text(understood, label, cells)
    roles: dict[str, Role] = dict.fromkeys(found, "text")
    if label:
        roles[label] = "label"
    return Columns(
        text=found,
        label=label,
        label_named=label_named,
        understood=tuple(_with_role(column, roles.get(column.name)) for column in understood),
    )


def without_text(where: str, columns: Columns) -> BadDataError:
    """The error where no column of a table reads as text: what stands there, and what to do."""
    if missing := missing_media(columns):
        return BadDataError(
            f"{where}: no column reads as text, and of {missing}; expected them beside the table, or paths that lead "
            "to them"
        )
    names = listed([column.name for column in columns.understood])
    return BadDataError(
        f"{where}: no column reads as text; the columns are {names}; "
        'name one with --text (in Python: text="…")'
    )


def missing_media(columns: Columns) -> str | None:
    """Which pictures, recordings or clips a table names that was taken for one of texts, as they were not found."""
    for column in columns.understood:
        names = list(map(PurePosixPath, column.examples))
        for modality, what in MODALITIES.items():
            if modality != "text" and names and all(kind_of(name, modality) for name in names):
                return f'the {what} that column "{column.name}" names ({listed(column.examples)}) most are not there'
    return None


def looks_continuous(values: Iterable[str]) -> bool:
    """Many distinct numbers with a fraction: a quantity, not a class."""
    numbers = {value for value in values if _number.fullmatch(value)}
    fractions = sum("." in number and float(number.rstrip("%")) % 1 != 0 for number in numbers)
    return len(numbers) > 20 and fractions > 0.2 * len(numbers)


def _split_names(text: str | Sequence[str] | None) -> list[str]:
    names = text.split(",") if isinstance(text, str) else list(text or ())
    return [name.strip() for name in names if name.strip()]


def require_column(name: str, table: Table) -> None:
    """Raise BadDataError for a column that is not there, with the nearest one."""
    if name in table.columns:
        return
    if name == table.set_apart:
        raise BadDataError(
            f'{table.path}: column "{name}" says which part each row belongs to, and is neither text nor label; rename '
            "it to use it as one"
        )
    near = difflib.get_close_matches(name, table.columns, 1, cutoff=0.4)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise BadDataError(
        f'{table.path}: there is no column "{name}"; the columns are {listed(table.columns)}{hint}'
    )


def listed(names: Sequence[str]) -> str:
    """The first twenty names in one line."""
    return (", ".join(names[:20]) + (", …" if len(names) > 20 else "")) or "none"


def _sample(table: Table) -> list[list[str]]:
    """The filled cells of the first rows, by column: fewer rows the more columns there are."""
    count = max(_FEWEST_ROWS, min(_SAMPLE_ROWS, _SAMPLE_CELLS // max(1, len(table.columns))))
    rows = [row.cells for row in islice(until_damage(table.rows(table.columns)), count) if not row.problem]
    by_column: list[tuple[Cell, ...]] = list(zip(*rows, strict=True)) or [()] * len(table.columns)
    return [
        [cell.strip()[:_CELL_CHARACTERS] for cell in column if cell and cell.strip()] for column in by_column
    ]


def _understand(name: str, cells: Sequence[str]) -> Column:
    distinct = len(set(cells))
    return Column(
        name=name,
        role=_role(cells, distinct),
        distinct=distinct,
        filled=len(cells),
        examples=tuple(dict.fromkeys(cells[:50]))[:3],
    )


def _role(cells: Sequence[str], distinct: int) -> Role:
    if not cells:
        return "empty"
    if sum(_number.fullmatch(cell) is not None for cell in cells) > 0.9 * len(cells):
        return "number"
    if _is_language(cells) and (distinct >= 0.5 * len(cells) or median(map(len, cells)) >= 40):
        return "text"
    if distinct <= max(2, min(50, len(cells) // 3)):
        return "category"
    return "identifier" if distinct == len(cells) else "other"


def _is_language(cells: Sequence[str]) -> bool:
    return sum(_reads_as_language(cell) for cell in cells) >= 0.5 * len(cells)


def _reads_as_language(cell: str) -> bool:
    if _is_nested(cell):
        return False
    words = _words().findall(cell)
    unspaced = len(_unspaced.findall(cell))
    # Letters by words: addresses, identifiers and lists of numbers are mostly something else.
    letters = sum(map(len, words))
    return (len(words) >= 2 and " " in cell and letters > 0.55 * len(cell)) or unspaced >= 4


@cache
def _words() -> re.Pattern[str]:
    """Two letters or more, with what joins them."""
    return re.compile(rf"(?:[^\W\d_]|[{marks()}]){{2,}}")


def _is_nested(cell: str) -> bool:
    """Values within a value, written as JSON."""
    return cell[:1] in ("{", "[") and cell[-1:] in ("}", "]")


def _label_rank(name: str) -> int | None:
    folded = name.strip().casefold()
    if folded in LABEL_NAMES:
        return LABEL_NAMES.index(folded)
    return len(LABEL_NAMES) if re.search(r"(^|_)(label|class)$", folded) else None


def _guess_label(columns: Sequence[Column], exclude: Sequence[str]) -> str | None:
    able = [column for column in columns if column.name not in exclude]
    named = [(rank, column.name) for column in able if (rank := _label_rank(column.name)) is not None]
    if named:
        return min(named)[1]
    few = [
        column.name
        for column in able
        if column.role == "category" or (column.role == "number" and 2 <= column.distinct <= 20)
    ]
    return few[0] if len(few) == 1 else None


def _guess_target(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], names: Sequence[str], exclude: Sequence[str]
) -> str | None:
    texts = [name for name in _guess_text(columns, None, cells) if name not in exclude]
    if named := next(_named(columns, names, exclude), None):
        return named
    return texts[0] if exclude and texts else texts[1] if len(texts) > 1 else None


def _guess_question(columns: Sequence[Column], label: str | None) -> tuple[str, ...]:
    """The question and its context, as far as columns are named like them."""
    taken = [label] if label else []
    both = (next(_named(columns, names, taken), None) for names in (_QUESTION_NAMES, _CONTEXT_NAMES))
    return tuple(name for name in both if name)


def _named(columns: Sequence[Column], names: Sequence[str], exclude: Sequence[str]) -> Iterator[str]:
    """The columns of these names, in the order of the names."""
    for name in names:
        yield from (
            column.name
            for column in columns
            if column.name.strip().casefold() == name and column.name not in exclude
        )


def _guess_text(
    columns: Sequence[Column], label: str | None, cells: Sequence[Sequence[str]]
) -> tuple[str, ...]:
    able = [column for column in columns if column.name != label]
    found = tuple(
        column.name
        for column in able
        if column.role == "text"
        or (_has_text_name(column.name) and column.role in ("other", "identifier", "category"))
    )
    if found:
        return found
    sizes = {column.name: sum(map(len, values)) for column, values in zip(columns, cells, strict=True)}
    rest = [column.name for column in able if column.role in ("other", "identifier") and _has_words(column)]
    return (max(rest, key=lambda name: sizes[name]),) if rest else ()


def _has_text_name(name: str) -> bool:
    return name.strip().casefold() in _TEXT_NAMES


def _has_words(column: Column) -> bool:
    return any(map(_holds_words, column.examples))


def _holds_words(cell: str) -> bool:
    """Less than language, as logs and names of products are: no nested values, no dates, no codes alone."""
    if _is_nested(cell):
        return False
    letters = sum(map(len, _words().findall(cell)))
    return (" " in cell and letters > 0.3 * len(cell)) or len(_unspaced.findall(cell)) > 1


def _with_role(column: Column, role: Role | None) -> Column:
    # A column that reads as text but was not chosen by the user is not used as one.
    used = role or ("other" if column.role == "text" else column.role)
    return Column(
        name=column.name,
        role=used,
        distinct=column.distinct,
        filled=column.filled,
        examples=column.examples,
    )
