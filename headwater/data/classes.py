"""Classes from the names of folders: which folder above a file is meant."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from headwater.data.files import Source
from headwater.data.kinds import split_of_folder

_numbers = re.compile(r"[\d\W_]+")
_archive = re.compile(r"\.(zip|tar|tgz|tar\.\w+)$", re.IGNORECASE)
_FEWEST_SISTERS = 2


def classes_of(sources: Sequence[Source]) -> list[str | None]:
    """The class of each file by its folder, None of files that lie in none.

    The innermost folder, as in animals/cat/1.jpg; where all of these are numbers or dates and the folders around them
    are not (cat/2021/1.jpg), the one around it. Folders named as the part of the data that a file belongs to are none.
    """
    folders = [_folders(source) for source in sources]
    inner = {names[-1] for names in folders if names}
    outer = {names[-2] for names in folders if len(names) > 1}
    dated = all(map(_numbers.fullmatch, inner)) and len(outer) > 1 and not any(map(_numbers.fullmatch, outer))
    level = 2 if dated else 1
    return [_archive.sub("", names[-level]) if len(names) >= level else None for names in folders]


def without_false_parts(sources: Sequence[Source]) -> list[Source]:
    """The same where a folder only seems to name a part: photos of a train, between those of a bus and of a car.

    So it is where folders name one part alone, and two folders or more beside that one hold files as it does.
    """
    named = [source for source in sources if _part_is_its_folder(source)]
    others = {source.split for source in sources} - {None}
    around = {_folder(source).parent for source in named}
    beside = {
        _folder(source) for source in sources if source.split is None and _folder(source).parent in around
    }
    if len(others) != 1 or len(beside) < _FEWEST_SISTERS:
        return list(sources)
    return [replace(source, split=None) if _part_is_its_folder(source) else source for source in sources]


def _folders(source: Source) -> list[str]:
    return [
        name
        for name in _folder(source).parts
        if source.split is None or split_of_folder(name) != source.split
    ]


def _folder(source: Source) -> PurePosixPath:
    return PurePosixPath(source.below).parent


def _part_is_its_folder(source: Source) -> bool:
    return source.split is not None and split_of_folder(_folder(source).name) == source.split
