"""Labelled pictures, recordings and clips: decoded once at the size that a model reads, kept beside their labels."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headwater.data.array_file import ArrayFile
from headwater.data.asides import is_whole, made_in_cache
from headwater.data.classes import without_false_parts
from headwater.data.cutting import Cut, watched
from headwater.data.examples import Example, LabelledSet
from headwater.data.files import Source
from headwater.data.kinds import MANY, PathLike, Split
from headwater.data.media_pool import told_apart
from headwater.data.media_tables import find_media, known_columns, label_column, report_further_rows
from headwater.data.problems import Problems
from headwater.data.readers.columns import LabelKind
from headwater.data.readers.labelled import sources_of_split, with_numbers
from headwater.data.readers.media import digest_of
from headwater.data.readers.pictures import Pixels
from headwater.data.store import cache_folder, store_key
from headwater.errors import BadDataError

FORMAT = 4
_FILES = ("pixels.npy", "rows.json")


def read_labelled_media(
    path: PathLike,
    *,
    label: str | None = None,
    split: Split | None = None,
    need_labels: bool = True,
    labels: LabelKind = "class",
    cut: Cut,
    every_part: bool = False,
    check: Callable[[], None] | None = None,
) -> LabelledSet:
    """The usable pictures of a file, or of one part of a folder (or ``every_part``), as ``cut`` says, with labels.

    Labels stand in a table beside the pictures (``label`` names the column), are the names of the folders around them,
    or stand in the array beside an array of them; where they are texts, a file may have several (``more``). What cannot
    be decoded is reported, and the rest goes on. With ``need_labels=False`` pictures without a label stay; with
    ``labels="number"`` those whose label is none are reported. ``facts["cut"]`` is the fitted cut. Raises BadDataError
    where no picture is left or none has a label, MissingInputError for a part that is not there.
    """
    problems = Problems()
    sources = find_media(path, modality=cut.modality, problems=problems)
    sources = sources if every_part else sources_of_split(without_false_parts(sources), split)
    column = label_column(sources, label) if need_labels else None
    if label and column is None and split == "train" and not any(source.kind in MANY for source in sources):
        raise BadDataError(
            f'{path}: no table names these {cut.what}, so that nothing is there to take the column "{label}" from; '
            "expected a table beside them one column of which holds their names; give one, or leave --label out "
            "where the names of folders are the labels"
        )
    label = column or label
    cut = cut.fitted(sources, check)
    folder = cache_folder() / "labelled-pictures" / _key(sources, cut, label)
    if not is_whole(folder, _FILES):
        with made_in_cache(folder, _FILES, "pictures cannot be kept") as aside:
            _keep(aside, sources, cut, label, check)
    kept = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    problems.absorb(Problems.from_dict(kept["problems"]))
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    place = "column" if column else "array" if sources[0].kind in MANY else "folder"
    # One folder around all that is to be learnt from is no class; of a test it may hold the only one that is asked for.
    nameless = place == "folder" and split == "train" and len({row[0] for row in kept["rows"]} - {None}) == 1
    rows = _examples(kept["rows"], pixels, problems, need_labels, nameless)
    if labels == "text":
        rows = _with_further_texts(rows, sources, label or "")
    else:
        report_further_rows(sources, problems)
    examples = list(with_numbers(rows, problems) if labels == "number" else rows)
    if not examples:
        raise BadDataError(f"{path}: {_why_none(cut.what, kept['rows'], problems)}")
    return LabelledSet(
        examples=examples,
        text_columns=(),
        label_column=label or place,
        problems=problems,
        facts={
            "cut": cut.to_dict(),
            "labels_in": place,
            "not_read": [name for name in known_columns(sources) if name != label],
        },
    )


def _with_further_texts(rows: Iterator[Example], sources: Sequence[Source], label: str) -> Iterator[Example]:
    """The rows with all that tables say of each: a picture may have five captions."""
    texts = {
        source.path: [row.cells.get(label, "") for row in source.more] for source in sources if source.more
    }
    for row in rows:
        yield row._replace(more=tuple(filter(None, texts.get(row.path, ()))))


def _key(sources: Sequence[Source], cut: Cut, label: str | None) -> str:
    return store_key(
        labelled=FORMAT,
        pictures=told_apart(sources),
        cut=cut.to_dict(),
        label=label,
        told=[(source.row or {}).get(label or "") for source in sources],
        pillow=Image.__version__,
    )


def _keep(
    folder: Path, sources: Sequence[Source], cut: Cut, label: str | None, check: Callable[[], None] | None
) -> None:
    problems = Problems()
    rows: list[list[Any]] = []
    with ArrayFile(folder / "pixels.npy") as pixels:
        for medium in watched(sources, problems, check, label=label, cut=cut):
            rows.append([medium.label, medium.path, medium.row, digest_of(medium.content)])
            pixels.append(cut.array(medium.content))
    kept = {"problems": problems.to_dict(), "rows": rows}
    (folder / "rows.json").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")


def _examples(
    rows: Sequence[Sequence[Any]], pixels: Pixels, problems: Problems, need_labels: bool, nameless: bool
) -> Iterator[Example]:
    for (known, path, row, digest), values in zip(rows, pixels, strict=True):
        label = None if nameless else known
        if label is None and need_labels:
            problems.add(path, row, "no label")
        else:
            yield Example((), label, path, row, values, digest)


def _why_none(what: str, rows: Sequence[Sequence[Any]], problems: Problems) -> str:
    if rows and "no label" not in problems.by_reason():
        return f"none of the {what} has a label that can be used; {problems.summary()}"
    if rows:
        return (
            f"none of {len(rows):,} {what} has a label; put them into one folder for each class, give a table beside "
            "them, or name the array that holds their labels with --label"
        )
    return f"none of the {what} can be read; {problems.summary()}"
