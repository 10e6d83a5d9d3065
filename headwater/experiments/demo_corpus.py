"""The embedded corpus: text that every CPython carries, and true labels for some of it.

Unlabelled: the language reference in ``pydoc_data.topics`` and the docstrings of the standard library. Labelled: the
docstrings of its largest packages, each labelled with the package it comes from; the package's own name is
taken out of the text, and whole modules are held out of training and of the unlabelled pool. The files are
parsed, never imported.
"""

import ast
import csv
import json
import re
import sysconfig
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from headwater.data.splits import split_of, text_digest
from headwater.errors import MissingInputError

MINIMUM_CHARACTERS = 40
MINIMUM_DOCSTRINGS = 120
MINIMUM_MODULES = 8
MAXIMUM_CLASSES = 6
HELD_OUT_SHARE = 1 / 3
_NOT_THE_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "ensurepip"}


class Docstring(NamedTuple):
    """One docstring and the module it stands in."""

    package: str
    module: str
    text: str


class DemoFiles(NamedTuple):
    """Where a demo's data were written, and what they hold; ``unlabelled`` None: the training rows without labels."""

    train: Path
    test: Path
    unlabelled: Path | None
    classes: tuple[str, ...]
    told: str
    """The pool in words."""
    question: str
    train_rows: int
    test_rows: int


def write_demo_corpus(folder: Path, tick: Callable[[int, int], None] | None = None) -> DemoFiles:
    """Write ``pool.jsonl``, ``train.csv`` and ``test.csv``; the rule of the classes is the module's docstring."""
    docstrings = list(_docstrings(tick))
    classes = _classes(docstrings)
    if len(classes) < 2:
        raise MissingInputError(
            "this Python carries too few docstrings for the demo (was it run with -OO, or stripped of its sources?); "
            "use a CPython with its standard library's .py files"
        )
    held_out = {row.module for row in docstrings if row.package in classes and _is_held_out(row.module)}
    labelled = [_without_own_name(row) for row in docstrings if row.package in classes]
    train = _distinct([row for row in labelled if row.module not in held_out])
    test = _distinct([row for row in labelled if row.module in held_out])
    pool = [_without_own_name(row).text for row in docstrings if row.module not in held_out] + _topics()

    folder.mkdir(parents=True, exist_ok=True)
    unlabelled = folder / "pool.jsonl"
    paths = DemoFiles(
        folder / "train.csv",
        folder / "test.csv",
        unlabelled,
        classes,
        f"{sum(map(len, pool)) / 1e6:.1f} M characters of documentation that this Python carries",
        "which package does a docstring come from",
        len(train),
        len(test),
    )
    lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in pool]
    unlabelled.write_text("".join(lines), encoding="utf-8")
    _write_rows(paths.train, train)
    _write_rows(paths.test, test)
    return paths


def _docstrings(tick: Callable[[int, int], None] | None) -> Iterator[Docstring]:
    library = Path(sysconfig.get_path("stdlib"))
    files = sorted(file for file in library.rglob("*.py") if _belongs(file.relative_to(library)))
    for done, file in enumerate(files):
        module = file.relative_to(library)
        if tick is not None:
            tick(done, len(files))
        for text in _docstrings_of(file):
            yield Docstring(module.parts[0].removesuffix(".py"), module.as_posix(), text)


def _belongs(path: Path) -> bool:
    return not _NOT_THE_LIBRARY.intersection(path.parts) and not path.parts[0].startswith("config-")


def _docstrings_of(file: Path) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in files that are not ours
            tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return []  # a template or a file in another encoding: not a module of the library
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented))
    return [text for text in texts if text and len(text) >= MINIMUM_CHARACTERS]


def _classes(docstrings: Sequence[Docstring]) -> tuple[str, ...]:
    """The packages with most docstrings among those with enough docstrings and modules."""
    counts = Counter(row.package for row in docstrings)
    modules: defaultdict[str, set[str]] = defaultdict(set)
    for row in docstrings:
        modules[row.package].add(row.module)
    large = [
        package
        for package, count in counts.most_common()
        if count >= MINIMUM_DOCSTRINGS and len(modules[package]) >= MINIMUM_MODULES
    ]
    return tuple(sorted(large[:MAXIMUM_CLASSES]))


def _is_held_out(module: str) -> bool:
    return split_of(text_digest(module), HELD_OUT_SHARE, "demo")


def _without_own_name(row: Docstring) -> Docstring:
    """Take the label out of the text, or the task would be to find it there."""
    return row._replace(text=re.sub(re.escape(row.package), "it", row.text, flags=re.IGNORECASE))


def _distinct(rows: Sequence[Docstring]) -> list[Docstring]:
    """Inherited and copied docstrings once, and none that two packages share."""
    owners: defaultdict[int, set[str]] = defaultdict(set)
    for row in rows:
        owners[text_digest(row.text)].add(row.package)
    once = {text_digest(row.text): row for row in rows}
    return [row for digest, row in once.items() if len(owners[digest]) == 1]


def _topics() -> list[str]:
    from pydoc_data.topics import topics

    return list(topics.values())


def _write_rows(path: Path, rows: Sequence[Docstring]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((row.text, row.package) for row in rows)
