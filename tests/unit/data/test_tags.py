"""Tags in every scheme, against spans written out by hand and a second definition of what a span is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.data.tags import Scheme, Span, spans_of

ALL_LETTERS = [f"{letter}-{kind}" for letter in "BIMELSUW" for kind in "XY"]
SPANS = [Span("PER", 0, 1), Span("PER", 1, 3), Span("LOC", 3, 6), Span("PER", 7, 8)]
WRITTEN = {
    "BIO": "B-PER B-PER I-PER B-LOC I-LOC I-LOC O B-PER O",
    "IOB1": "I-PER B-PER I-PER I-LOC I-LOC I-LOC O I-PER O",
    "BIOES": "S-PER B-PER E-PER B-LOC I-LOC E-LOC O S-PER O",
    "BILOU": "U-PER B-PER L-PER B-LOC I-LOC L-LOC O U-PER O",
    "BMES": "S-PER B-PER E-PER B-LOC M-LOC E-LOC O S-PER O",
}


def by_borders(tags: list[str]) -> list[Span]:
    """By where one begins: at a letter that begins, and at a word that no span of its kind reaches."""
    begins = [
        tag != "O"
        and (
            tag[0] in "BSUW" or place == 0 or tags[place - 1][1:] != tag[1:] or tags[place - 1][0] in "ELSUW"
        )
        for place, tag in enumerate(tags)
    ]
    found: list[Span] = []
    for start in (place for place, begun in enumerate(begins) if begun):
        stop = next((n for n in range(start + 1, len(tags)) if begins[n] or tags[n] == "O"), len(tags))
        found.append(Span(tags[start][2:], start, stop))
    return found


@given(st.lists(st.sampled_from(["O", *ALL_LETTERS]), max_size=14))
def test_spans_are_those_between_borders(tags: list[str]) -> None:
    assert spans_of(tags) == by_borders(tags)


@pytest.mark.parametrize("name", WRITTEN)
def test_every_scheme_is_known_by_its_tags_and_becomes_bio(name: str) -> None:
    tags = WRITTEN[name].split()
    scheme = Scheme.seen_in([["O"], tags])
    assert scheme.name == name
    assert spans_of(scheme.in_bio(tags)) == SPANS
    assert scheme.in_bio(tags) == WRITTEN["BIO"].split()


@pytest.mark.parametrize("tags", ["PER PER O LOC", "I-PER I-PER O I-LOC", "i-PER i-PER o i-LOC"])
def test_without_borders_equal_neighbours_are_one_span(tags: str) -> None:
    scheme = Scheme.seen_in([tags.split()])
    assert scheme.name == "IO"
    assert scheme.in_bio(tags.split()) == ["B-PER", "I-PER", "O", "B-LOC"]


@pytest.mark.parametrize(("name", "tags"), [("BIO", "B I O B"), ("BMES", "B M E S"), ("IO", "I I O I")])
def test_letters_alone_name_spans_of_one_kind(name: str, tags: str) -> None:
    scheme = Scheme.seen_in([tags.split()])
    assert scheme.name == name
    assert {span.kind for span in spans_of(scheme.in_bio(tags.split()))} == {"SPAN"}


def test_parts_of_speech_are_no_spans() -> None:
    scheme = Scheme.seen_in([["NN", "VB|NN", "VB", "PRP$"]])
    assert scheme.name == "one a word"
    assert scheme.in_bio(["NN", "VB|NN"]) == ["NN", "VB|NN"]
    assert not scheme.overlap("VB|NN")


@pytest.mark.parametrize("tag", ["B-PER|B-LOC", "B-PER|O", "I-PER/B-LOC", "['B-PER', 'B-LOC']", "PER|LOC"])
def test_a_tag_of_several_spans_overlaps(tag: str) -> None:
    known = ["PER", "LOC", "O"] if tag == "PER|LOC" else ["B-PER", "I-PER", "B-LOC", "O"]
    assert Scheme.seen_in([[*known, tag]]).overlap(tag)


@pytest.mark.parametrize("tag", ["B-PER", "O", "B-city/town", "I-rock&roll", "B-a-b"])
def test_a_kind_may_hold_any_sign(tag: str) -> None:
    scheme = Scheme.seen_in([["B-PER", "I-PER", "O", tag]])
    assert scheme.name == "BIO"
    assert not scheme.overlap(tag)


def test_a_mistake_in_bio_does_not_make_it_another_scheme() -> None:
    scheme = Scheme.seen_in([["B-PER", "O", "I-LOC", "B-LOC"], ["O", "B-LOC"]])
    assert scheme.name == "BIO"
    assert scheme.in_bio(["O", "I-LOC"]) == ["O", "B-LOC"]
