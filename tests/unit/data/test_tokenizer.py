"""The vocabulary: bytes come back, other loaders agree, words are found."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from headwater.data.characters import PIECES, Kind, kind_of, slices
from headwater.data.tokenizer import SPECIAL_TOKENS, Tokenizer
from headwater.errors import BadDataError, MissingInputError, UsageError

ENGLISH = [
    "The river runs down to the sea.",
    "A runner is running (slowly) at 12:30.",
    "Hello, hello world!",
] * 8
FILLERS = [chr(0x5000 + number) for number in range(80)]
# Three words among characters that stand next to each other by chance.
CHINESE = [
    "".join(np.random.default_rng(seed).permutation([*FILLERS, "北京", "朋友", "学习", "的", "在"]).tolist())
    for seed in range(20)
]
MIXED = ["naïve café Straße 東京タワー สวัสดีครับ 안녕하세요 नमस्ते 👩‍👩‍👧 x=1\t\r\n  y"] * 4

# Any text a reader can give: astral, NUL, combining marks, every white space; only surrogates are no text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
LIKELY = st.text("ab Z0129 ,.()'\n\t\u3000\u00a0的一了か ก\u0301\u200d😀", max_size=80)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(ENGLISH + CHINESE + MIXED, 600)


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    tokens = tokenizer.encode_batch([text])[0]
    groups = tokenizer.word_groups(tokens)
    return [tokenizer.decode(tokens[groups == number]) for number in range(groups[-1] + 1)]


@given(st.one_of(TEXTS, LIKELY))
@settings(max_examples=400, deadline=None)
def test_every_text_comes_back_byte_for_byte(tokenizer: Tokenizer, text: str):
    assert tokenizer.decode(tokenizer.encode_batch([text])[0]) == text


@given(st.one_of(TEXTS, LIKELY))
@settings(max_examples=400, deadline=None)
def test_remembered_pieces_give_the_tokens_of_the_library(tokenizer: Tokenizer, text: str):
    library = tokenizer._backend  # which reads "[SEP]" in a text as five characters
    assert tokenizer.encode_batch([text])[0].tolist() == library.encode(text).ids


@given(st.lists(st.one_of(TEXTS, LIKELY), max_size=6))
@settings(max_examples=100, deadline=None)
def test_tokens_of_a_text_do_not_depend_on_its_neighbours(tokenizer: Tokenizer, texts: list[str]):
    together = tokenizer.encode_batch(texts)
    assert [tokens.tolist() for tokens in together] == [
        tokenizer.encode_batch([text])[0].tolist() for text in texts
    ]


@given(st.one_of(TEXTS, LIKELY), st.integers(1, 20))
@settings(max_examples=400, deadline=None)
def test_pieces_of_slices_are_the_pieces_of_the_text(text: str, size: int):
    parts = slices(text, size)
    assert "".join(parts) == text
    assert [piece for part in parts for piece in re.findall(PIECES, part)] == re.findall(PIECES, text)


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_token_bytes_sum_to_the_bytes_of_the_text(tokenizer: Tokenizer, text: str):
    assert tokenizer.token_bytes[tokenizer.encode_batch([text])[0]].sum() == len(text.encode())


def test_transformers_reads_the_file_and_frames_the_text(tokenizer: Tokenizer, tmp_path: Path):
    tokenizer.save(tmp_path / "tokenizer.json")
    theirs = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), **tokenizer.settings_for_transformers()
    )
    first, second = (tokens.tolist() for tokens in tokenizer.encode_batch([ENGLISH[0], CHINESE[0]]))
    assert theirs(ENGLISH[0])["input_ids"] == [tokenizer.cls, *first, tokenizer.sep]
    expected = [tokenizer.cls, *first, tokenizer.sep, *second, tokenizer.sep]
    assert theirs(ENGLISH[0], CHINESE[0])["input_ids"] == expected
    assert theirs.decode(first) == ENGLISH[0]
    assert (theirs.pad_token_id, theirs.mask_token_id, len(theirs)) == (0, 3, tokenizer.size)


def test_a_mask_written_for_transformers_takes_its_blank_along(tokenizer: Tokenizer):
    library = tokenizers.Tokenizer.from_str(tokenizer._json)
    filled = library.encode("The river runs", add_special_tokens=False).ids
    masked = library.encode("The [MASK] runs", add_special_tokens=False).ids
    river = tokenizer.encode_batch([" river"])[0].tolist()
    assert masked == [*filled[:1], tokenizer.mask, *filled[1 + len(river) :]]


def test_no_text_produces_a_special_token(tokenizer: Tokenizer):
    text = "".join(SPECIAL_TOKENS) + " [MASK] [SEP]"
    tokens = tokenizer.encode_batch([text])[0]
    assert tokens.min() >= len(SPECIAL_TOKENS)
    assert tokenizer.decode(tokens) == text


def test_special_tokens_say_nothing(tokenizer: Tokenizer):
    tokens = tokenizer.encode_batch(["sea"])[0].tolist()
    assert tokenizer.decode([tokenizer.cls, *tokens, tokenizer.sep, tokenizer.pad]) == "sea"


def test_a_loaded_vocabulary_is_the_saved_one(tokenizer: Tokenizer, tmp_path: Path):
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.digest == tokenizer.digest
    assert loaded.han_words == tokenizer.han_words != ()
    assert loaded.encode_batch(CHINESE)[0].tolist() == tokenizer.encode_batch(CHINESE)[0].tolist()


def test_a_vocabulary_with_another_pattern_is_encoded_as_its_library_does(tokenizer: Tokenizer):
    foreign = tokenizers.Tokenizer.from_str(tokenizer._json)
    foreign.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    text = "Hello, hello world! 北京"
    ours = Tokenizer(foreign).encode_batch([text])[0].tolist()
    assert ours == foreign.encode(text, add_special_tokens=False).ids


def test_more_pieces_than_the_cache_holds_change_nothing(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("headwater.data.piece_cache._MOST_PIECES", 3)
    monkeypatch.setattr("headwater.data.piece_cache._CHARACTERS_A_CHUNK", 10)
    fresh = Tokenizer(tokenizers.Tokenizer.from_str(tokenizer._json))
    texts = ENGLISH + MIXED
    assert [t.tolist() for t in fresh.encode_batch(texts)] == [
        t.tolist() for t in tokenizer.encode_batch(texts)
    ]


def test_token_numbers_take_two_bytes_while_they_fit(tokenizer: Tokenizer):
    assert tokenizer.encode_batch(["sea"])[0].dtype == np.uint16


def test_one_endless_line_of_chinese_is_cut_into_characters():
    line = "".join(chr(0x4E00 + number * 7919 % 3000) for number in range(200_000))
    tokenizer = Tokenizer.learn([line], 2000)
    assert tokenizer.decode(tokenizer.encode_batch([line])[0]) == line
    assert max(map(len, tokenizer.pieces)) <= 3  # bytes: no token straddles two characters


def test_words_between_blanks_are_groups(tokenizer: Tokenizer):
    assert words(tokenizer, "A runner (slowly) is  running,\n12 times") == [
        "A", " runner", " (", "slowly", ")", " is", " ", " running", ",", "\n", "12", " times",
    ]  # fmt: skip


def test_cohesive_chinese_characters_are_one_word(tokenizer: Tokenizer):
    assert set(tokenizer.han_words) == {"北京", "朋友", "学习"}
    assert words(tokenizer, "朋友在北京") == ["朋友", "在", "北京"]


def test_pieces_of_a_rare_character_stay_with_it(tokenizer: Tokenizer):
    assert len(tokenizer.encode_batch(["鬱"])[0]) > 1
    assert words(tokenizer, "的鬱的") == ["的", "鬱", "的"]


def test_specials_stand_alone_even_before_half_a_character(tokenizer: Tokenizer):
    half = tokenizer.encode_batch(["鬱"])[0][1:]
    tokens = np.concatenate([[tokenizer.cls], half, [tokenizer.sep]])
    assert tokenizer.word_groups(tokens).tolist() == [0, *[1] * len(half), 2]


def test_word_starts_agree_with_the_groups_where_a_token_alone_can_tell(tokenizer: Tokenizer):
    tokens = tokenizer.encode_batch([" The river runs down, slowly. 的 在"])[0]
    begins = np.diff(tokenizer.word_groups(tokens), prepend=-1) == 1
    assert tokenizer.word_starts[tokens].tolist() == begins.tolist()
    assert not begins.all()


@pytest.mark.parametrize(
    ("character", "kind"),
    [("a", Kind.LETTER), ("é", Kind.LETTER), ("한", Kind.LETTER), ("我", Kind.HAN), ("。", Kind.SIGN),
     ("7", Kind.DIGIT), ("\u3000", Kind.SPACE), ("の", Kind.UNSPACED), ("😀", Kind.SIGN), ("\0", Kind.SIGN)],
)  # fmt: skip
def test_every_character_is_of_one_kind(character: str, kind: Kind):
    assert kind_of(character) is kind


def test_a_vocabulary_too_small_for_the_bytes_is_refused():
    with pytest.raises(UsageError, match="260 or more"):
        Tokenizer.learn(ENGLISH, 100)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(MissingInputError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def test_a_broken_file_is_named(tmp_path: Path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadDataError, match="tokenizers library"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def test_a_vocabulary_without_our_special_tokens_is_refused():
    with pytest.raises(BadDataError, match=r"\[PAD\]"):
        Tokenizer(tokenizers.Tokenizer(models.BPE()))


@given(st.one_of(TEXTS, LIKELY))
@settings(max_examples=300, deadline=None)
def test_every_token_stands_for_whole_characters_as_the_library_counts_them(tokenizer: Tokenizer, text: str):
    places = tokenizer.places(text, tokenizer.encode_batch([text])[0])
    assert [tuple(place) for place in places.tolist()] == tokenizer._backend.encode(text).offsets
    seen = sorted({character for start, end in places.tolist() for character in range(start, end)})
    assert seen == list(range(len(text)))


def test_places_are_those_of_the_users_text_where_a_vocabulary_changes_it(tokenizer: Tokenizer):
    description = json.loads(tokenizer._json) | {"normalizer": {"type": "NFC"}}
    changing = Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(description)))
    text = "Cafe\u0301 runs"  # two characters that the vocabulary reads as one
    tokens = changing.encode_batch([text])[0]
    assert changing.decode(tokens) == "Caf\u00e9 runs"
    start, end = changing.places(text, tokens)[-1]
    assert text[start:end].strip() in "runs"
    assert end == len(text)
