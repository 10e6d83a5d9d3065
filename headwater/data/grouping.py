"""Items a group at a time, in memory that does not depend on how long they are."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

MOST_CHARACTERS = 1 << 23
"""Of one group: a thousand ordinary documents, or eight of the longest that readers give."""


def grouped(
    items: Iterable[Item], most: int, characters: Callable[[Item], int], limit: int = MOST_CHARACTERS
) -> Iterator[list[Item]]:
    """The items in their order, ``most`` at a time, fewer where they reach ``limit`` characters before."""
    group: list[Item] = []
    size = 0
    for item in items:
        group.append(item)
        size += characters(item)
        if len(group) == most or size >= limit:
            yield group
            group, size = [], 0
    if group:
        yield group
