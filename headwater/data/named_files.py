"""Which file a cell of a table means: one of those around the table, or one that the cell leads to as a path."""

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from headwater.data.files import Source, sources_of
from headwater.data.kinds import MANY, Modality, Split, kind_of


class NamedFiles:
    """The files of one modality that cells of a table may name: ``sources``, and what further cells lead to.

    A cell names a file by its path from the table's folder on, by that inside an archive or by its last part, in any
    letter case and Unicode form. Of a table that was named itself, a cell is also followed where it leads:
    from the root, from the table's folder or from where the program was started. What is found so is added to
    ``sources``.
    """

    def __init__(self, table: Source, sources: list[Source], modality: Modality) -> None:
        self.sources = sources
        self._folder = Path(table.path).parent
        self._modality: Modality = modality
        self._leads = table.named
        self._places = places_of(sources, table.split)

    def find(self, cell: str | None, *, endings: bool = True) -> int | None:
        """The place among ``sources`` of the file that a cell names; None where there is none.

        Without ``endings`` a name that lacks its own will do.
        """
        if not cell:
            return None
        name = cell.strip().replace("\\", "/")
        leads = self._may_lead(name)
        if not (leads or self._places):
            return None
        last = PurePosixPath(name).name
        beside = (self._folder / name).as_posix()
        paths = dict.fromkeys([beside, Path(os.path.normpath(beside)).as_posix()])
        place = self._known([*paths, name])
        if place is None and leads:
            place = self._led_to(*paths)
        if place is None:
            place = self._known(
                [last, _folded(last)] if PurePosixPath(last).suffix or not endings else [last]
            )
        return self._led_to(name) if place is None and leads else place

    def _known(self, names: Iterable[str]) -> int | None:
        return next((self._places[name] for name in names if name in self._places), None)

    def _may_lead(self, name: str) -> bool:
        """Whether cells of this table are followed, and this one ends as files of the modality do."""
        if not self._leads or "." not in name:
            return False
        return kind_of(PurePosixPath(name), self._modality) not in (None, *MANY)

    def _led_to(self, *paths: str) -> int | None:
        """The place of a file that was not found around the table, but lies where a path says."""
        for path in filter(os.path.isfile, paths):
            if found := sources_of(path, self._modality):
                self._places[path] = len(self.sources)
                self.sources += found
                return self._places[path]
        return None


def places_of(sources: Sequence[Source], split: Split | None = None) -> dict[str, int]:
    """Where the source of each name stands: by its path; by that inside an archive, by its last part, by that in any
    letter case and Unicode form, and by that without its ending, where no other has the same.

    Where a table is of one part of the data (``split``), another means of that part or of none: archives of several
    parts may hold files of the same names.
    """
    by_path: dict[str, int] = {}
    members, names, other_members, other_names = tiers = [dict[str, set[int]]() for _ in range(4)]
    for place, source in enumerate(sources):
        if source.kind in MANY:
            continue
        by_path[source.path] = place
        foreign = split is not None and source.split not in (split, None)
        if source.member is not None:
            (other_members if foreign else members).setdefault(source.member, set()).add(place)
        name = PurePosixPath(source.path)
        for key in (name.name, _folded(name.name), _folded(name.stem)):
            (other_names if foreign else names).setdefault(key, set()).add(place)
    found: dict[str, set[int]] = {}
    for tier in tiers:
        found = tier | found
    return {name: place for name, (place, *more) in found.items() if not more} | by_path


def _folded(name: str) -> str:
    """A name as it is told from others whatever its letter case and Unicode form; no file is called so."""
    return "/" + unicodedata.normalize("NFC", name).casefold()
