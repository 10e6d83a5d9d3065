"""Pictures beside the texts that belong to them, as a page that needs nothing from anywhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headwater.analysis.markup import clean, foreign, inline_picture, page
from headwater.errors import StorageError


@dataclass(frozen=True, slots=True)
class Captioned:
    """Pictures (PNG) and the texts below them, each with a word for what it is."""

    pictures: Sequence[bytes]
    texts: Sequence[tuple[str, str]]


def write_captioned(path: Path, title: str, rows: Sequence[Captioned]) -> None:
    """Write the page; StorageError where it cannot be written."""
    items = "\n".join(f"<li>{_row(row)}</li>" for row in rows)
    content = [f"<h1>{clean(title)}</h1>", f'<ul class="examples">{items}</ul>']
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(title, content), encoding="utf-8")
    except OSError as problem:
        raise StorageError(
            f"{path} cannot be written: {problem}; make room or give access there"
        ) from problem


def _row(row: Captioned) -> str:
    pictures = " ".join(inline_picture(content, row.texts[0][1]) for content in row.pictures)
    texts = "".join(
        f'<span class="labels">{clean(name)}</span><q>{foreign(text)}</q>' for name, text in row.texts
    )
    return f"{pictures}{texts}"
