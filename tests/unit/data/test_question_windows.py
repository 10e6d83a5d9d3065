"""Windows over contexts: nothing is lost, and answers go to tokens and come back as characters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.data.assembly import FramedExamples
from headwater.data.question_windows import OVERLAP, QuestionWindows
from headwater.data.tokenizer import Tokenizer
from headwater.errors import UsageError

TEXTS = [
    "Anna went to Lima in 1998, and Bruno stayed in Accra. 安娜去了利马。naïve 👩‍👩‍👧 café ",
    "where did Anna go, and when? 谁去了?",
]
LETTERS = st.text("ab Z1.\n\u3000的安娜é😀", min_size=1, max_size=80)
CONTEXTS = LETTERS.filter(lambda text: bool(text.strip()))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(TEXTS * 3, 340)


@given(st.lists(st.tuples(LETTERS, CONTEXTS), min_size=1, max_size=4), st.integers(8, 40))
@settings(max_examples=200, deadline=None)
def test_every_token_of_a_context_is_in_a_window_that_fits(
    tokenizer: Tokenizer, texts: list[tuple[str, str]], length: int
):
    read = QuestionWindows.of(texts, tokenizer, length)
    framed = FramedExamples.of(read.tokens, tokenizer, length)
    assert int(framed.lengths.max()) <= length
    assert framed.lengths.tolist() == [3 + sum(map(len, window)) for window in read.tokens]  # nothing was cut
    for number, (_, context) in enumerate(texts):
        tokens = tokenizer.encode_batch([context])[0]
        seen = np.full(len(tokens), -1)
        for window in read.windows:
            if window.question == number:
                part = window.tokens[1]
                seen[window.first : window.first + len(part)] = part
        assert seen.tolist() == tokens.tolist()


@given(CONTEXTS, st.data())
@settings(max_examples=300, deadline=None)
def test_an_answer_goes_to_tokens_and_comes_back_as_characters(
    tokenizer: Tokenizer, context: str, data: st.DataObject
):
    start = data.draw(st.integers(0, len(context) - 1))
    stop = data.draw(st.integers(start + 1, len(context)))
    read = QuestionWindows.of([("ab", context)], tokenizer, 24)
    places = read.places[0]
    wanted = {
        n for n, (a, b) in enumerate(places.tolist()) if a < stop and b > start
    }  # what touches the answer
    for row, (window, (first, last)) in enumerate(
        zip(read.windows, read.targets([(start, stop)]).tolist(), strict=True)
    ):
        held = set(range(window.first, window.first + len(window.tokens[1])))
        if not wanted <= held:
            assert (first, last) == (0, 0)
            continue
        assert set(range(first, last + 1)) == {n + window.shift for n in wanted}
        a, b = read.span(row, first, last)
        answer = context[start:stop].strip()
        assert answer in context[a:b]
        whole = context[int(places[min(wanted), 0]) : int(places[max(wanted), 1])]
        assert context[a:b] == (whole.strip() or whole)


@pytest.mark.parametrize("length", [40, 200])
def test_an_answer_of_the_overlap_is_whole_in_a_window(tokenizer: Tokenizer, length: int):
    context = "安娜去了利马" * 60
    room = length - 3 - len(tokenizer.encode_batch(["谁"])[0])
    most = min(OVERLAP, room // 2)
    read = QuestionWindows.of([("谁", context)], tokenizer, length)
    places = read.places[0]
    for first in range(len(places) - most):
        borders = int(places[first, 0]), int(places[first + most - 1, 1])
        assert read.targets([borders]).any(), borders
    assert len(read.windows) == 1 + -(-(len(places) - room) // (room - most))


def test_a_question_may_take_half_of_the_length_and_no_more(tokenizer: Tokenizer):
    read = QuestionWindows.of([("Z" * 100, "Anna went"), ("Z", "Anna went")], tokenizer, 20)
    assert read.cut == {0}
    assert len(read.windows[0].tokens[0]) == 10


def test_questions_without_an_answer_point_at_nothing(tokenizer: Tokenizer):
    read = QuestionWindows.of([("who?", "Anna went to Lima"), ("who?", "Anna came")], tokenizer, 64)
    targets = read.targets([None, (0, 4)])
    assert targets[0].tolist() == [0, 0]
    assert read.span(1, *targets[1].tolist()) == (0, 4)


def test_a_context_of_a_megabyte_is_read_to_its_end(tokenizer: Tokenizer):
    context = "Anna went to Lima. " * 55_000
    read = QuestionWindows.of([("where?", context)], tokenizer, 64)
    last = read.windows[-1]
    assert last.first + len(last.tokens[1]) == len(read.places[0])
    assert int(read.places[0][-1, 1]) == len(context)


def test_windows_without_room_are_refused(tokenizer: Tokenizer):
    with pytest.raises(UsageError, match="choose at least 8"):
        QuestionWindows.of([("who?", "Anna went")], tokenizer, 7)
