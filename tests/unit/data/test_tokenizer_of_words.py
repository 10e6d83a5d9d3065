"""A vocabulary of whole words: names without parts, in the same class and file as any other."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from headwater.data.tokenizer import Tokenizer

WORDS = ["12", "7", "red\u00a0shoe", "日本"]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.of_words(WORDS)


def test_every_word_is_one_token_behind_the_special_ones(tokenizer: Tokenizer):
    (tokens,) = tokenizer.encode_batch([" ".join(WORDS)])
    assert tokens.tolist() == [5, 6, 7, 8]
    assert tokenizer.decode(tokens) == " ".join(WORDS)


def test_other_words_are_unknown(tokenizer: Tokenizer):
    (tokens,) = tokenizer.encode_batch(["7 8 127 7"])
    assert tokens.tolist() == [6, tokenizer.unknown, tokenizer.unknown, 6]
    assert tokenizer.decode(tokens) == "7 7"


def test_no_text_can_produce_special_tokens():
    tokenizer = Tokenizer.of_words(["[PAD]", "[CLS]", "x"])
    (tokens,) = tokenizer.encode_batch(["[PAD] [CLS] [SEP] [MASK] x"])
    assert tokens.tolist() == [tokenizer.unknown] * 4 + [5]


def test_it_is_the_same_once_saved_and_loaded(tokenizer: Tokenizer, tmp_path: Path):
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert (loaded.digest, loaded.unknown, loaded.pieces) == (tokenizer.digest, 4, tokenizer.pieces)
    assert Tokenizer.of_words(WORDS[::-1]).digest != tokenizer.digest


def test_transformers_reads_the_same_words(tokenizer: Tokenizer, tmp_path: Path):
    tokenizer.save(tmp_path / "tokenizer.json")
    theirs = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), unk_token="[UNK]", pad_token="[PAD]"
    )
    assert theirs("7 8 日本")["input_ids"] == [tokenizer.cls, 6, 4, 8, tokenizer.sep]


def test_bytes_have_no_unknown_words():
    assert Tokenizer.learn(["a text"], 260).unknown is None
