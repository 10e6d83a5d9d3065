"""Text as it comes: whole characters, and nothing of a stop string."""

from hypothesis import given
from hypothesis import strategies as st

from headwater.models.generation import TextStream

BYTES = [bytes([byte]) for byte in range(256)]


def fed(text: str, stops: tuple[str, ...] = ()) -> list[str]:
    """The pieces that a stream gives when every byte is a token of its own."""
    stream = TextStream(BYTES, stops)
    pieces: list[str] = []
    for byte in text.encode():
        pieces.append(stream.add(byte))
        if stream.stopped:
            break
    return [*pieces, stream.end()]


@given(st.text())
def test_no_character_is_split_and_none_is_lost(text: str):
    pieces = fed(text)
    assert "".join(pieces) == text
    assert all("�" not in piece for piece in pieces) or "�" in text


@given(st.text(alphabet="ab的", max_size=30), st.text(alphabet="ab的", min_size=1, max_size=4))
def test_text_ends_before_the_stop_string(text: str, stop: str):
    assert "".join(fed(text, (stop,))) == text.split(stop)[0]


def test_what_may_become_a_stop_string_waits():
    assert fed("ab\nUser", ("\nUser:",)) == ["a", "b", "", "", "", "", "", "\nUser"]
    assert fed("ab\nUser:", ("\nUser:",))[-3:] == ["", "", ""]


def test_half_a_character_at_the_end_is_marked():
    stream = TextStream(BYTES)
    assert stream.add("的".encode()[0]) == ""
    assert stream.end() == "�"
