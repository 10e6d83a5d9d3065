"""Pieces of HTML, every one of them escaped: labels, file names and texts come from anywhere."""

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

LONGEST_TEXT = 400


def clean(text: str, longest: int | None = None) -> str:
    """Text as safe HTML: escaped, without control characters or lone surrogates, cut at ``longest`` letters."""
    kept = "".join(letter if _is_harmless(letter) else "\N{REPLACEMENT CHARACTER}" for letter in text)
    if longest is not None and len(kept) > longest:
        kept = kept[: longest - 1].rstrip() + "…"
    return html.escape(kept, quote=True)


def _is_harmless(letter: str) -> bool:
    return letter in "\n\t" or (
        letter >= " " and not "\x7f" <= letter < "\xa0" and not "\ud800" <= letter <= "\udfff"
    )


def foreign(text: str, longest: int | None = None) -> str:
    """Text of the user's: kept apart from ours, so that its writing direction cannot turn the page round."""
    return f'<bdi dir="auto">{clean(text, longest)}</bdi>'


@dataclass(frozen=True)
class Html:
    """Markup that was escaped where it was made."""

    text: str


Content = str | Html


def markup(content: Content) -> str:
    """A string escaped, Html as it is."""
    return content.text if isinstance(content, Html) else clean(content)


def section(title: str, *parts: str) -> str:
    """A heading and what stands under it; nothing at all where there is nothing under it."""
    filled = [part for part in parts if part]
    return "\n".join(["<section>", f"<h2>{clean(title)}</h2>", *filled, "</section>"]) if filled else ""


def paragraph(content: Content, *, quiet: bool = False) -> str:
    """A paragraph."""
    kind = ' class="note"' if quiet else ""
    return f"<p{kind}>{markup(content)}</p>"


def bullets(items: Iterable[Content]) -> str:
    """A list; empty for no items."""
    lines = [f"<li>{markup(item)}</li>" for item in items]
    return "\n".join(["<ul>", *lines, "</ul>"]) if lines else ""


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Content]],
    *,
    first: int | None = None,
    numbers: bool = True,
) -> str:
    """A table with a caption and headers for both directions; ``first`` is the line to bring out."""
    kind = ' class="number"' if numbers else ""
    heads = [f'<th scope="col">{clean(columns[0])}</th>']
    heads += [f'<th scope="col"{kind}>{clean(column)}</th>' for column in columns[1:]]
    lines: list[str] = []
    for number, row in enumerate(rows):
        cells = "".join(f"<td{kind}>{markup(cell)}</td>" for cell in row[1:])
        mark = ' class="first"' if number == first else ""
        lines.append(f'<tr{mark}><th scope="row">{markup(row[0])}</th>{cells}</tr>')
    return "\n".join(
        [
            '<div class="scroll" role="region" tabindex="0" aria-label="' + clean(caption) + '"><table>',
            f"<caption>{clean(caption)}</caption>",
            f"<thead><tr>{''.join(heads)}</tr></thead>",
            f"<tbody>{''.join(lines)}</tbody>",
            "</table></div>",
        ]
    )


def page(title: str, content: Iterable[str]) -> str:
    """A whole page that needs nothing from anywhere else."""
    folder = files("headwater.analysis")
    template = Template((folder / "gain_page.html").read_text(encoding="utf-8"))
    style = (folder / "gain_page.css").read_text(encoding="utf-8")
    filled = "\n".join(part for part in content if part)
    return template.substitute(title=clean(title), style=style, content=filled)


def inline_picture(content: bytes, alt: str) -> str:
    """A PNG or GIF file inside the page."""
    data = base64.b64encode(content).decode()
    kind = "gif" if content.startswith(b"GIF8") else "png"
    return f'<img src="data:image/{kind};base64,{data}" alt="{clean(alt)}">'
