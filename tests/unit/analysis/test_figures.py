"""Figures are well-formed, say what they show, and survive hostile names."""

import logging
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.analysis.figures import (
    INK,
    STYLES,
    Line,
    Point,
    confusion_figure,
    interval_bars,
    label_budget_curve,
    plain,
    png,
    spread_apart,
    svg,
    training_curve,
)

SPACE = "{http://www.w3.org/2000/svg}"
HOSTILE = ["</svg><script>alert(1)</script>", "$\\frac{1}{0}$", "a&b\"'", "\x00\x1b[31m\n", "科技 📰", ""]


def _line(name: str, values: Sequence[float]) -> Line:
    places = [8.0, 32.0, None][: len(values)]
    return Line(name, [Point(place, v, v - 0.05, v + 0.05) for place, v in zip(places, values, strict=True)])


def _texts(drawn: str) -> list[str]:
    tree = ElementTree.fromstring(drawn)
    return ["".join(element.itertext()).strip() for element in tree.iter(f"{SPACE}text")]


def test_the_curve_names_every_line_and_every_budget():
    drawn = svg(
        label_budget_curve([_line("pretrained", [0.6, 0.7, 0.8]), _line("floor", [0.5, 0.6, 0.7])]), "alt"
    )
    assert {"pretrained", "floor", "8", "32", "all"} <= set(_texts(drawn))


def test_a_curve_of_a_single_budget_can_be_drawn():
    for point in (Point(None, 0.5, 0.4, 0.6), Point(32, 0.5, 0.4, 0.6)):
        assert "pretrained" in _texts(svg(label_budget_curve([Line("pretrained", [point])]), "alt"))


def test_ink_takes_the_colour_of_the_page():
    drawn = svg(label_budget_curve([_line("pretrained", [0.6, 0.7])]), "alt")
    assert INK not in drawn
    assert "currentColor" in drawn


def test_the_description_is_read_aloud_and_escaped():
    tree = ElementTree.fromstring(svg(interval_bars([_line("a", [0.5])]), 'rise "of" <arms> & legs'))
    assert tree.attrib["role"] == "img"
    assert tree.attrib["aria-label"] == 'rise "of" <arms> & legs'


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str, caplog: pytest.LogCaptureFixture):
    line = Line(name, [Point(8, 0.5, 0.4, 0.6), Point(32, 0.6, 0.5, 0.7)])
    matrix = np.array([[3, 1], [0, 4]])
    with caplog.at_level(logging.WARNING, logger="matplotlib"):
        for figure in (
            label_budget_curve([line]),
            training_curve([line], quantity=name),
            interval_bars([line], quantity=name),
            confusion_figure(matrix, [name, "b"]),
        ):
            drawn = svg(figure, name)
            assert "<script" not in drawn
            ElementTree.fromstring(drawn)
    assert not caplog.records


def test_chinese_names_are_kept_as_text_for_the_browser_to_draw():
    assert "科技" in _texts(svg(confusion_figure(np.eye(2, dtype=np.int64), ["科技", "体育"]), "alt"))


def test_the_same_figure_is_the_same_file():
    first, second = (svg(label_budget_curve([_line("scratch", [0.4, 0.5])]), "alt") for _ in range(2))
    assert first == second


def test_names_inside_two_figures_never_meet():
    drawn = [svg(label_budget_curve([_line(name, [0.4, 0.5])]), "alt") for name in ("scratch", "floor")]
    first, second = (
        {e.attrib["id"] for e in ElementTree.fromstring(d).iter() if "id" in e.attrib} for d in drawn
    )
    assert first
    assert not first & second


def test_references_inside_a_figure_lead_somewhere():
    drawn = svg(label_budget_curve([_line("pretrained", [0.6, 0.7])]), "alt")
    tree = ElementTree.fromstring(drawn)
    names = {element.attrib["id"] for element in tree.iter() if "id" in element.attrib}
    links = [value for e in tree.iter() for key, value in e.attrib.items() if key.endswith("href")]
    assert links
    assert {link.removeprefix("#") for link in links} <= names


def test_a_matrix_of_many_labels_is_drawn_without_their_names():
    drawn = svg(confusion_figure(np.eye(60, dtype=np.int64), [f"label {n}" for n in range(60)]), "alt")
    assert set(_texts(drawn)) == {"predicted", "true"}


def test_png_is_a_png():
    assert png(training_curve([_line("mine", [0.5, 0.4])]), 40).startswith(b"\x89PNG")


@pytest.mark.parametrize("ground", ["#ffffff", "#14171c"])
@pytest.mark.parametrize("arm", list(STYLES))
def test_every_colour_stands_out_on_light_and_dark(arm: str, ground: str):
    """Contrast of at least 3 : 1, as WCAG 2.2 asks of graphics (success criterion 1.4.11)."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    lighter, darker = sorted((luminance(STYLES[arm].colour), luminance(ground)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3.0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8))
def test_names_at_line_ends_stand_apart_in_the_order_of_the_lines(values: list[float]):
    moved = spread_apart(values, gap=5.0)
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(moved)[order]) >= 5.0 - 1e-6).all()
    assert np.mean(moved) == pytest.approx(np.mean(values), abs=1e-6)


def test_names_that_have_room_stay_where_they_are():
    assert spread_apart([10.0, 50.0, 30.0], gap=5.0) == pytest.approx([10.0, 50.0, 30.0])


def test_long_names_are_shortened_and_control_characters_dropped():
    assert plain("a\nb\x00c   d") == "a b c d"
    assert plain("x" * 50) == "x" * 15 + "…"
