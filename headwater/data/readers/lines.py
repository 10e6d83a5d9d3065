"""Plain text as lines that keep their places: an answer to each stands beside its line."""

from collections.abc import Iterator, Sequence

from headwater.data.decoding import flaw, read_pieces
from headwater.data.examples import Example
from headwater.data.files import Source, find_sources
from headwater.data.kinds import PathLike, language_of
from headwater.data.problems import Problem, Problems
from headwater.data.readers.sources import guarded, why_nothing
from headwater.data.readers.text import MAX_DOCUMENT_CHARACTERS
from headwater.errors import BadDataError


def file_of_lines(path: PathLike, languages: Sequence[str] = ()) -> Source | None:
    """The file of plain text that ``path`` names; of parallel text the one in a language of ``languages``, else itself.

    None for tables, folders and archives.
    """
    found = [source for source in find_sources(path, problems=Problems()) if source.named]
    if len(found) != 1 or found[0].kind not in ("text", "aligned"):
        return None
    parallel = (found[0], *found[0].beside)
    return next((one for one in parallel if language_of(one.file.name) in languages), found[0])


def read_lines(source: Source, problems: Problems) -> list[Example | Problem]:
    """Every line, a blank one as a row without a text; one that cannot be used says why in its place.

    Blank lines do not count as rows. Raises BadDataError where no line holds a text, or most cannot be used.
    """
    rows = list(guarded(_lines(source, problems), source, problems))
    if problems.rows == problems.total:
        raise BadDataError(f"{source.path}: no usable row; {why_nothing([source], problems)}")
    return rows


def _lines(source: Source, problems: Problems) -> Iterator[Example | Problem]:
    with source.open() as stream:
        for piece in read_pieces(stream, source.encoding.codec, MAX_DOCUMENT_CHARACTERS):
            if not piece.begins:
                continue  # the rest of a line that was refused
            text = piece.text.strip()
            problems.rows += bool(text)
            reason = flaw(piece.text) if piece.ends else "line too long"
            if reason:
                problems.add(source.path, piece.number, reason)
                yield Problem(source.path, piece.number, reason, "")
            else:
                yield Example((text,), None, source.path, piece.number)
