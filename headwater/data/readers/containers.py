"""Files that hold moving pictures and sound."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, BinaryIO

from headwater.data.readers.libraries import media_library
from headwater.errors import BadDataError


@contextmanager
def opened(stream: BinaryIO, lacking: str) -> Generator[Any]:
    """The container that PyAV opens; whatever a decoder raises becomes BadDataError, ``lacking`` and the reason."""
    av = media_library("av")
    try:
        with av.open(stream, mode="r", metadata_errors="ignore") as container:
            yield container
    except BadDataError:
        raise
    except Exception as problem:  # a decoder may raise anything on bytes that nobody meant as a clip
        told = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        raise BadDataError(f"{lacking}: {str(told).splitlines()[0]}") from problem
