"""What a file holds by its name: its modality and kind, its part of the data, its language."""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

Kind = Literal[
    "text",
    "csv",
    "tsv",
    "jsonl",
    "json",
    "parquet",
    "arrow",
    "tagged",
    "aligned",
    "picture",
    "array",
    "sound",
    "clip",
    "clips",
    "track",
]
Modality = Literal["text", "image", "audio", "video"]
Split = Literal["train", "validation", "test"]
PathLike = str | os.PathLike[str]

KINDS: dict[str, Kind] = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".markdown": "text",
    ".rst": "text",
    ".log": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".bio": "tagged",
    ".iob": "tagged",
    ".iob2": "tagged",
    ".conll": "tagged",
}
PICTURES: dict[str, Kind] = {
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".webp": "picture",
    ".bmp": "picture",
    ".tif": "picture",
    ".tiff": "picture",
    ".ppm": "picture",
    ".pgm": "picture",
    ".npz": "array",
}
SOUNDS: dict[str, Kind] = {
    ".wav": "sound",
    ".flac": "sound",
    ".ogg": "sound",
    ".oga": "sound",
    ".opus": "sound",
    ".mp3": "sound",
    ".aiff": "sound",
    ".aif": "sound",
}
CLIPS: dict[str, Kind] = {
    ".mp4": "clip",
    ".m4v": "clip",
    ".mov": "clip",
    ".avi": "clip",
    ".mkv": "clip",
    ".webm": "clip",
    ".gif": "clip",
    ".npz": "clips",
}
KINDS_OF: dict[Modality, dict[str, Kind]] = {
    "text": KINDS,
    "image": PICTURES,
    "audio": SOUNDS,
    "video": CLIPS,
}
MODALITIES: dict[Modality, str] = {
    "text": "text",
    "image": "pictures",
    "audio": "recordings",
    "video": "clips",
}
"""What data are, in words."""
Learnt = Modality | Literal["pairs"]
"""What a run learns from."""
Side = Modality | Literal["flow"]
SIDES: dict[Side, str] = {**MODALITIES, "flow": "optical flow"}
"""What a side of a pair is, in words; how a clip moves is computed from it."""
MANY: tuple[Kind, ...] = ("array", "clips")
"""Kinds of files that hold many."""
# Codes of ISO 639-1 that files of parallel text end with: train.en beside train.de.
_language = re.compile(
    "(af|am|ar|az|be|bg|bn|bs|ca|cs|cy|da|de|el|en|es|et|eu|fa|fi|fr|ga|gl|gu|he|hi|hr|hu|hy|id|is|it|ja|ka|kk|km|kn|"
    "ko|ky|lt|lv|mk|ml|mn|mr|ms|my|nb|ne|nl|nn|no|pa|pl|ps|pt|ro|ru|si|sk|sl|sq|sr|sv|sw|ta|te|th|tl|tr|uk|ur|uz|vi|zh)"
    "([-_][a-z]{2,4})?"
)
_SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "validation",
    "holdout": "test",
    "heldout": "test",
}
ABOUT_THE_DATA = re.compile(
    r"(readme|licen[sc]e|changelog)([-_. ]?(\(\d+\)|\d+)|[-_. ](copy|v\d+|[a-z]{2,3}|apache|html|json|text|markdown))*"
    r"|(copying|notice|manifest|authors|citation)(\.[a-z]+)*"
    r"|requirements([-_.][a-z]{2,5})*",
    re.IGNORECASE,
)
"""Names of files that speak of the data; of a text of the data's own, "Notice 2021-04.txt", they are only the start."""


def kind_of(path: PurePosixPath, modality: Modality, *, named: bool = False) -> Kind | None:
    """What a file of this modality is by its name; None where it is nothing that is read."""
    if modality != "text":
        return KINDS_OF[modality].get(path.suffix.lower())
    if named and path.suffix == "":  # a file without a suffix that the user names is meant as text
        return "text"
    return KINDS.get(suffix_of(path))


def suffix_of(path: PurePosixPath) -> str:
    """The suffix that tells the kind, without a ``.gz`` behind it."""
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix == ".gz" else suffix


def stem_of(name: str) -> str:
    """A file's name without its suffixes."""
    path = PurePosixPath(name)
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem


def paths_in(paths: PathLike | Iterable[PathLike]) -> list[Path]:
    """One path or several, as a list."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


def split_of_word(word: str) -> Split | None:
    """The part that a cell names, in any case: train, validation (valid, val, dev, eval) or test.

    One word of it decides: ``Training set``, ``test_matched``.
    """
    return _split_in(re.split(r"[^a-z]+", word.lower()))


def split_of_folder(name: str) -> Split | None:
    """The part that a folder is of by its whole name."""
    return _SPLIT_WORDS.get(name.lower())


def split_of_name(path: PathLike, *, root: PathLike | None = None) -> Split | None:
    """Which part a file belongs to by its name: train, validation (valid, val, dev) or test.

    One word of the file's name decides (``test_2016.tsv``, ``train-00000-of-00004.parquet``); otherwise the
    innermost folder named exactly so, no further out than ``root``.
    """
    parts = _parts(path)
    depth = len(_parts(root)) - 1 if root is not None else len(parts) - 2
    words = re.split(r"[^a-z]+", parts[-1].partition(".")[0].lower())
    if any(word in _SPLIT_WORDS for word in words):
        return _split_in(words)
    for folder in reversed(parts[max(0, depth) : -1]):
        if split := split_of_folder(folder):
            return split
    return None


def _split_in(words: Iterable[str]) -> Split | None:
    """The one part that some of these words name."""
    splits: set[Split] = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def _parts(path: PathLike) -> tuple[str, ...]:
    return path.parts if type(path) is PurePosixPath else PurePosixPath(str(path).replace("\\", "/")).parts


def language_of(name: str) -> str | None:
    """The language that a file's name ends with: ``train.zh`` or ``train.pt-br.gz``."""
    suffix = suffix_of(PurePosixPath(name)).removeprefix(".")
    return suffix if _language.fullmatch(suffix) else None
