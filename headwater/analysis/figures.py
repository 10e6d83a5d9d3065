"""Figures: curves, bars and matrices as SVG text or PNG bytes.

Ink is drawn in the colour of the surrounding text, so a figure inside a page is readable on a light and on
a dark ground; the colours of the lines were chosen for both, and for readers who see fewer colours (each
line has its own mark and its name at its end). matplotlib is imported when the first figure is drawn.
"""

import io
import re
import warnings
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.analysis.lettering import CJK_FONTS
from headwater.analysis.markup import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the colour of the text around the figure; replaced by ``currentColor`` in SVG."""


class LineStyle(NamedTuple):
    """How one line is told from the others."""

    colour: str
    mark: str
    dashes: str = "-"


# All at least 3 : 1 against white and against #14171c. After Okabe and Ito 2008, darkened or lightened to
# that end.
STYLES = {
    "pretrained": LineStyle("#0a7ac0", "o"),
    "scratch": LineStyle("#d55e00", "s"),
    "recurrent": LineStyle("#0b9873", "^"),
    "convolutional": LineStyle("#c264a0", "D"),
    "floor": LineStyle("#7d828a", "v", "--"),
    "parent": LineStyle("#a07a18", "P", "-."),
}
_MORE = tuple(STYLES.values())
LONGEST_LABEL = 16
LONGEST_QUANTITY = 60
MAX_LABELLED_CLASSES = 24


@dataclass(frozen=True)
class Point:
    """A value at a place, with its interval; ``place`` None stands at the far right, as "all"."""

    place: float | None
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A named line of points; the names of ``STYLES`` keep their colours in every figure."""

    name: str
    points: Sequence[Point]
    strong: bool = True


def style_of(name: str, number: int = 0) -> LineStyle:
    """The line style that belongs to a name, or the ``number``-th one for a name without its own."""
    return STYLES.get(name, _MORE[number % len(_MORE)])


# ---- matplotlib, without its global state -------------------------------------------------------------


@cache
def _fonts() -> list[str]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *[name for name in CJK_FONTS if name in installed][:1]]


@contextmanager
def _settings() -> Generator[None]:
    import matplotlib

    chosen: Any = {
        "font.family": _fonts(),
        "font.size": 9.5,
        "svg.fonttype": "none",  # text stays text: it can be read aloud, searched, and drawn in any script
        "svg.hashsalt": "headwater",
        "axes.unicode_minus": True,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.edgecolor": INK,
    }
    with matplotlib.rc_context(chosen), warnings.catch_warnings():
        # Without a font for a script matplotlib measures with boxes; the reader's browser has the font and
        # draws it.
        warnings.filterwarnings("ignore", message=".*Glyph.*missing from", category=UserWarning)
        yield


def _axes(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_alpha(0.4)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    return figure, axes


def plain(text: str, longest: int = LONGEST_LABEL) -> str:
    """Text that is safe to draw: one line, no control characters, no longer than ``longest``."""
    kept = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def svg(figure: "Figure", alt: str) -> str:
    """The figure as an ``<svg>`` element to put into a page, read aloud as ``alt``."""
    buffer = io.StringIO()
    with _settings():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace(INK, "currentColor")
    drawn = re.sub(r"(font: [^;\"]*?px )[^;\"]*", r"\1system-ui, sans-serif", drawn)
    # A page holds several figures: the names inside each must not meet.
    mark = f"f{zlib.crc32(drawn.encode('utf-8', 'replace'))}-"
    drawn = re.sub(r'(<[^<>]* id=")', rf"\1{mark}", drawn)
    drawn = re.sub(r'(url\(#|href="#)', rf"\1{mark}", drawn)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{clean(alt)}" ', 1)


def png(figure: "Figure", dots_per_inch: int = 160) -> bytes:
    """The figure as a PNG file on a white ground."""
    buffer = io.BytesIO()
    with _settings():
        figure.savefig(buffer, format="png", dpi=dots_per_inch, facecolor="white")
    return buffer.getvalue()


# ---- the figures --------------------------------------------------------------------------------------


def label_budget_curve(lines: Sequence[Line], *, width: float = 7.4, height: float = 4.1) -> "Figure":
    """Accuracy against labels a class, on a logarithmic axis, "all" at the far right, intervals as bars.

    Values are shares between 0 and 1, drawn as points.
    """
    with _settings():
        figure, axes = _axes(width, height)
        places = sorted({point.place for line in lines for point in line.points if point.place is not None})
        has_all = any(point.place is None for line in lines for point in line.points)
        ticks = [float(np.log2(place)) for place in places]
        far = (ticks[-1] + 1.6) if ticks else 0.0
        for number, line in enumerate(lines):
            _draw_line(axes, line, number, len(lines), far)
        names = [f"{place:g}" for place in places] + ["all"] * has_all
        axes.set_xticks(ticks + [far] * has_all, names)
        shown = ticks + [far] * has_all
        axes.set_xlim(min(shown) - 0.35, max(shown) + 0.35)
        axes.set_xlabel("labels per class")
        axes.set_ylabel("accuracy on the test rows, %")
        axes.grid(axis="y", color=INK, alpha=0.13, linewidth=0.8)
        _name_ends(axes, lines, far)
        return figure


def _place(point: Point, far: float) -> float:
    return far if point.place is None else float(np.log2(point.place))


def _draw_line(axes: "Axes", line: Line, number: int, count: int, far: float) -> None:
    style = style_of(line.name, number)
    # Intervals at the same budget stand side by side, not on top of each other.
    shift = (number - (count - 1) / 2) * 0.055
    x = np.array([_place(point, far) + shift for point in line.points])
    values, low, high = (
        100.0 * np.array([getattr(point, name) for point in line.points]) for name in ("value", "low", "high")
    )
    thickness, alpha = (2.3, 1.0) if line.strong else (1.4, 0.9)
    axes.vlines(x, low, high, color=style.colour, linewidth=thickness * 0.75, alpha=0.45)
    axes.plot(
        x,
        values,
        style.dashes,
        color=style.colour,
        marker=style.mark,
        markersize=6.0 if line.strong else 4.5,
        linewidth=thickness,
        alpha=alpha,
    )


def _name_ends(axes: "Axes", lines: Sequence[Line], far: float) -> None:
    """Each line's name at its right end, pushed apart where ends are close."""
    low, high = axes.get_ylim()
    ends = [100.0 * line.points[-1].value for line in lines]
    heights = spread_apart(ends, gap=(high - low) * 0.062)
    for number, (line, end, height) in enumerate(zip(lines, ends, heights, strict=True)):
        style = style_of(line.name, number)
        right = max(_place(point, far) for each in lines for point in each.points)
        axes.annotate(
            plain(line.name),
            xy=(_place(line.points[-1], far), end),
            xytext=(right + 0.28, height),
            color=style.colour,
            fontweight="bold" if line.strong else "normal",
            va="center",
            annotation_clip=False,
            parse_math=False,
        )


def spread_apart(values: Sequence[float], gap: float) -> list[float]:
    """The same values moved as little as needed for neighbours to stand ``gap`` apart, in the order given."""
    if not values:
        return []
    order = np.argsort(np.asarray(values), kind="stable")
    # Isotonic regression of value - rank · gap: the least movement in squares that keeps order and distance.
    blocks: list[list[float]] = []
    for rank, index in enumerate(order.tolist()):
        blocks.append([values[index] - rank * gap, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, size = blocks.pop()
            blocks[-1] = [
                (blocks[-1][0] * blocks[-1][1] + mean * size) / (blocks[-1][1] + size),
                blocks[-1][1] + size,
            ]
    moved = [mean for mean, size in blocks for _ in range(int(size))]
    spread = [0.0] * len(values)
    for rank, index in enumerate(order.tolist()):
        spread[index] = moved[rank] + rank * gap
    return spread


def training_curve(
    lines: Sequence[Line], *, quantity: str = "held-out loss", width: float = 7.4, height: float = 3.6
) -> "Figure":
    """A quantity against the training step, one line a run, each named at its end."""
    with _settings():
        figure, axes = _axes(width, height)
        for number, line in enumerate(lines):
            style = style_of(line.name, number)
            x = [float(point.place or 0.0) for point in line.points]
            y = [point.value for point in line.points]
            axes.plot(x, y, style.dashes, color=style.colour, linewidth=1.8)
            axes.fill_between(
                x,
                [point.low for point in line.points],
                [point.high for point in line.points],
                color=style.colour,
                alpha=0.15,
                linewidth=0,
            )
        low, high = axes.get_ylim()
        heights = spread_apart([line.points[-1].value for line in lines], gap=(high - low) * 0.07)
        for number, (line, place) in enumerate(zip(lines, heights, strict=True)):
            end = (1.01, (place - low) / (high - low))
            colour = style_of(line.name, number).colour
            axes.text(
                *end, plain(line.name), color=colour, transform=axes.transAxes, va="center", parse_math=False
            )
        axes.set_xlabel("step")
        axes.set_ylabel(plain(quantity, LONGEST_QUANTITY), parse_math=False)
        axes.grid(axis="y", color=INK, alpha=0.13, linewidth=0.8)
        return figure


def interval_bars(lines: Sequence[Line], *, quantity: str = "", width: float = 6.0) -> "Figure":
    """One horizontal bar with its interval for the first point of each line."""
    with _settings():
        figure, axes = _axes(width, 0.6 + 0.36 * len(lines))
        for number, line in enumerate(lines):
            style, point = style_of(line.name, number), line.points[0]
            axes.barh(number, point.value, height=0.62, color=style.colour, alpha=0.55)
            axes.hlines(number, point.low, point.high, color=INK, linewidth=1.4)
        axes.set_yticks(range(len(lines)), [plain(line.name) for line in lines], parse_math=False)
        axes.invert_yaxis()
        axes.set_xlabel(plain(quantity, LONGEST_QUANTITY), parse_math=False)
        axes.grid(axis="x", color=INK, alpha=0.13, linewidth=0.8)
        return figure


def confusion_figure(matrix: NDArray[np.int64], names: Sequence[str], *, colour: str = "#0a7ac0") -> "Figure":
    """Rows by true label (down) and predicted label (across), each line shaded by its shares."""
    with _settings():
        count = len(names)
        labelled = count <= MAX_LABELLED_CLASSES
        side = min(6.4, 1.9 + 0.52 * count) if labelled else 5.2
        figure, axes = _axes(side, side * 0.86)
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        if labelled:
            for row, column in np.ndindex(*matrix.shape):
                _draw_cell(axes, row, column, float(shares[row, column]), colour)
                axes.text(column, row, f"{matrix[row, column]:d}", ha="center", va="center", fontsize=8.5)
        else:
            _draw_shares(axes, shares, colour)
        axes.set_xlim(-0.5, matrix.shape[1] - 0.5)
        axes.set_ylim(matrix.shape[0] - 0.5, -0.5)
        axes.spines["bottom"].set_visible(False)
        shown = [plain(name, 12) for name in names] if labelled else []
        across: Any = {"rotation": 35, "ha": "right"} if any(len(name) > 5 for name in shown) else {}
        axes.set_xticks(range(len(shown)), shown, parse_math=False, **across)
        axes.set_yticks(range(len(shown)), shown, parse_math=False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        return figure


def _draw_shares(axes: "Axes", shares: NDArray[np.float64], colour: str) -> None:
    from matplotlib.colors import to_rgba

    # One picture: thousands of cells drawn one by one take a browser longer than a reader's patience.
    painted = np.tile(np.array(to_rgba(colour)), (*shares.shape, 1))
    painted[..., 3] = np.where(shares > 0, 0.15 + 0.85 * shares, 0.0)
    axes.imshow(painted, interpolation="nearest", aspect="auto")


def _draw_cell(axes: "Axes", row: int, column: int, share: float, colour: str) -> None:
    from matplotlib.patches import Rectangle

    # At most two thirds opaque, so that the number on it is readable on either ground.
    cell = Rectangle(
        (column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, alpha=0.04 + 0.56 * share, linewidth=0
    )
    axes.add_patch(cell)
