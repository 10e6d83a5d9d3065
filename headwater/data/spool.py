"""Texts set aside on disk between two looks at them, so that memory does not grow with the corpus."""

from collections.abc import Iterator
from pathlib import Path

from headwater.data.grouping import grouped
from headwater.data.splits import text_digest
from headwater.errors import StorageError


class Spool:
    """Writes texts one after another, then reads them in the same order, whole or every ``step``-th one.

    The file lasts as long as the ``with`` block.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: list[int] = []  # in bytes
        self.digests: list[int] = []
        self._file = path.open("wb")

    def add(self, text: str) -> None:
        """Set one text aside."""
        data = text.encode()
        try:
            self._file.write(data)
        except OSError as error:
            raise StorageError(
                f"texts cannot be set aside in {self.path.parent}: {error}; make room there, or choose another "
                "folder with HEADWATER_CACHE"
            ) from error
        self.sizes.append(len(data))
        self.digests.append(text_digest(text))

    def texts(self, step: int = 1) -> Iterator[str]:
        """Every ``step``-th text, in order."""
        self._file.flush()
        with self.path.open("rb") as file:
            for number, size in enumerate(self.sizes):
                if number % step:
                    file.seek(size, 1)
                else:
                    yield file.read(size).decode()

    def groups(self, size: int) -> Iterator[list[str]]:
        """All texts, ``size`` at a time, fewer where they are long."""
        return grouped(self.texts(), size, len)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    @property
    def bytes(self) -> int:
        """The bytes of all texts together."""
        return sum(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)
