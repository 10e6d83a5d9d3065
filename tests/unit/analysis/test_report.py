"""The gain page: self-contained, accessible, escaped everywhere, and saying what the judgement says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from headwater.analysis.gain_facts import Confusion, CostRow, Example, GainFacts, Sweep
from headwater.analysis.report import gain_page, write_gain_report
from headwater.analysis.words import duration
from headwater.errors import StorageError

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x00\ud800\u202e&amp;'
VOID = {"meta", "br", "img", "link", "input", "hr"}


@dataclass(frozen=True)
class Row:
    arm: str
    budget: int | str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Judged:
    budget: int | str
    verdict: str
    difference: float
    low: float
    high: float
    p: float | None
    seeds: int = 3


@dataclass(frozen=True)
class Judgement:
    sentence: str = (
        "Pre-training is worth +12.4 points (95 % 9.8 … 15.1). The bag-of-words floor is within 1 point."
    )
    headline: int | str = 32
    summary: Sequence[Row] = (
        Row("pretrained", 8, 0.61, 0.57, 0.65),
        Row("pretrained", "all", 0.88, 0.86, 0.9),
        Row("scratch", 8, 0.38, 0.33, 0.44),
    )
    verdicts: Sequence[Judged] = (
        Judged(8, "helped", 0.23, 0.2, 0.26, 0.004),
        Judged(32, "no_difference", 0.01, -0.02, 0.04, 0.3),
        Judged(128, "hurt", -0.05, -0.07, -0.03, 0.02),
        Judged("all", "not_enough_seeds", 0.02, 0.0, 0.04, None, 1),
    )
    leakage: Mapping[str, Any] = field(default_factory=lambda: {"test_rows": 100})
    shifted: Sequence[Row] = ()
    shifted_verdicts: Sequence[Judged] = ()


def _facts(word: str = "plain") -> GainFacts:
    return GainFacts(
        title=word,
        label_names=(word, "other"),
        costs=(CostRow(what=word, seconds=660, tokens=6.4e6, flops=2e14, peak_memory=2**30, steps=3100),),
        boundary=(word,),
        method=(word,),
        sweeps=(Sweep("pretrained", 8, word, ((word, 0.5), ("0.01", 0.25))),),
        confusions=(Confusion("pretrained", ((30, 4), (6, 60))),),
        examples=(
            Example(word, word, "pretrained", "scratch", "other"),
            Example("a text", "other", "scratch", "pretrained", word),
        ),
        footer=word,
    )


class Outline(HTMLParser):
    """What a page is made of: elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.unmatched: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unmatched.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page() -> Outline:
    return Outline(gain_page(Judgement(), _facts()))


def test_the_page_needs_nothing_from_anywhere_else(page: Outline):
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object"}
    links = [
        value
        for _, attributes in page.elements
        for key, value in attributes.items()
        if "href" in key or key == "src"
    ]
    assert all(link is None or link.startswith(("#", "http://www.w3.org/")) for link in links)
    policies = [meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies[0]["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_every_element_that_is_opened_is_closed(page: Outline):
    assert (page.open, page.unmatched) == ([], [])


def test_the_page_can_be_read_aloud_and_on_a_phone(page: Outline):
    assert len(page.all("h1")) == 1
    assert len(page.all("table")) == len(page.all("caption")) > 0
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    assert all(figure.get("role") == "img" and figure.get("aria-label") for figure in page.all("svg"))
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert page.all("html") == [{"lang": "en"}]


def test_no_two_elements_have_the_same_name(page: Outline):
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))


def test_the_sentence_and_every_verdict_stand_on_the_page(page: Outline):
    words = " ".join(" ".join(page.words).split())
    assert "Pre-training is worth +12.4 points (95 % 9.8 … 15.1)." in words
    assert "The bag-of-words floor is within 1 point." in words
    assert "At 8 labels per class, pre-training helped: +23.0 points (95 % 20.0 … 26.0, p = 0.004)." in words
    assert (
        "At 32 labels per class, 3 seeds show no difference: +1.0 points (95 % −2.0 … 4.0, p = 0.3)." in words
    )
    assert "At 128 labels per class, pre-training made it worse: −5.0 points" in words
    assert "With all labels, 1 seed cannot say: +2.0 points (95 % 0.0 … 4.0)." in words


def test_hostile_words_stay_words_everywhere():
    evil = Judgement(
        sentence=EVIL, summary=(Row(EVIL, 8, 0.5, 0.4, 0.6), Row("pretrained", 8, 0.5, 0.4, 0.6))
    )
    text = gain_page(evil, _facts(EVIL))
    outline = Outline(text)
    assert not outline.all("script")
    assert not outline.all("img")
    assert not any(key.startswith("on") for _, attributes in outline.elements for key in attributes)
    assert (outline.open, outline.unmatched) == ([], [])
    assert "\x00" not in text
    text.encode("utf-8")  # lone surrogates would fail here


def test_the_users_words_cannot_turn_the_page_round():
    outline = Outline(gain_page(Judgement(), _facts("\u202e abc")))
    assert len(outline.all("bdi")) >= 5
    assert all(attributes.get("dir") == "auto" for attributes in outline.all("bdi"))


def test_leaked_rows_are_told_with_the_scores_that_they_would_give():
    leakage = {
        "test_rows": 100,
        "leaked_rows": 7,
        "exact": 5,
        "near": 2,
        "with_leaked_rows": [{"arm": "pretrained", "budget": 8, "mean": 0.7, "low": 0.6, "high": 0.8}],
    }
    words = " ".join(Outline(gain_page(Judgement(leakage=leakage), _facts())).words)
    assert "7 test rows (5 exactly, 2 nearly)" in words
    assert "pretrained at 8 labels per class 70.0 (95 % 60.0 … 80.0)" in words


def test_a_shifted_test_has_its_own_section():
    judgement = Judgement(
        shifted=(Row("pretrained", 8, 0.5, 0.4, 0.6),),
        shifted_verdicts=(Judged(8, "helped", 0.1, 0.05, 0.15, 0.01),),
    )
    words = " ".join(Outline(gain_page(judgement, _facts())).words)
    assert "On the shifted test" in words
    assert "+10.0 points (95 % 5.0 … 15.0, p = 0.01)" in words


def test_pictures_that_pre_training_left_are_inside_the_page_stills_and_moving_ones():
    shown = (("painted", b"\x89PNG"), ("painted, moving", b"GIF89a"))
    outline = Outline(gain_page(Judgement(), replace(_facts(), shown=shown)))
    kinds = {(image["alt"], str(image["src"]).split(";")[0]) for image in outline.all("img")}
    assert kinds == {("painted", "data:image/png"), ("painted, moving", "data:image/gif")}


def test_what_is_not_known_is_left_out():
    words = " ".join(Outline(gain_page(Judgement(), GainFacts(title="bare"))).words)
    for title in ("Cost", "Examples", "What is taken for what", "How it was measured"):
        assert title not in words


def test_dollars_in_texts_are_no_template():
    assert "cost $content" in gain_page(Judgement(), replace(_facts(), footer="cost $content"))


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path):
    path = write_gain_report(tmp_path / "reports" / "gain.html", Judgement(), _facts())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in path.parent.iterdir()] == ["gain.html"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "reports").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match=r"gain\.html"):
        write_gain_report(tmp_path / "reports" / "gain.html", Judgement(), _facts())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "under a second"),
        (1.4, "1 second"),
        (1.6, "2 seconds"),
        (50, "50 seconds"),
        (660, "11 minutes"),
        (9000, "2.5 hours"),
    ],
)
def test_time_is_said_as_a_reader_would(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_row_that_is_a_picture_and_a_text_shows_both() -> None:
    examples = (
        Example("what hair has it?", "curly", "pretrained", "scratch", "other", picture=b"\x89PNG curls"),
        Example("", "bald", "pretrained", "scratch", "other", picture=b"\x89PNG bald"),
    )
    page = gain_page(Judgement(), replace(_facts(), examples=examples))
    both, alone = page.split("A picture of curly")[1].split("A picture of bald")
    assert "what hair has it?" in both.split("<q>")[1].split("</q>")[0]
    assert "<q>" not in alone.split("</li>")[0]
