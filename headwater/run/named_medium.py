"""A picture, recording or clip that somebody names, as a model reads it."""

from pathlib import Path, PurePosixPath

from headwater.data.cutting import Cut
from headwater.data.kinds import kind_of
from headwater.data.readers.media import decoded_medium
from headwater.data.readers.pictures import Pixels
from headwater.errors import BadDataError


def picture_of(name: str, cut: Cut, *, heard: bool = False) -> Pixels:
    """The file of that name as a model reads it; BadDataError with the name and the reason where it cannot be read.

    A clip whose recording is asked for is ``heard``: its sound track is the recording.
    """
    track = heard and cut.kind == "sound" and kind_of(PurePosixPath(name), "video") == "clip"
    try:
        with Path(name).open("rb") as stream:
            content = decoded_medium(stream, "track" if track else cut.kind)
        if reason := cut.unfit(content):
            raise BadDataError(reason)
        return cut.array(content)
    except OSError as problem:
        raise BadDataError(f"{name} cannot be read: {problem.strerror}") from problem
    except ValueError as problem:  # no file has such a name
        raise BadDataError(f"{name!r} cannot be read: {problem}") from problem
    except BadDataError as problem:
        raise BadDataError(f"{name}: {problem}") from problem
