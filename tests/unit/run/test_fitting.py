"""Labelled rows as the model reads them."""

from headwater.data.tokenizer import Tokenizer
from headwater.run.fitting import said_of_long


def test_texts_that_lose_their_end_are_counted() -> None:
    tokenizer = Tokenizer.learn(["a b c d"], 262)
    size = len(next(iter(tokenizer.encode_batch(["abcdefgh"]))))
    texts = [("abcdefgh",), ("a",), ("abcdefgh", "abcdefgh")]
    assert said_of_long(texts, tokenizer, 2 * size + 3) == ""
    assert said_of_long(texts, tokenizer, size + 2).startswith(
        f"1 of 3 texts are longer than {size + 2} tokens"
    )
    assert said_of_long(texts, tokenizer, size + 1).startswith("2 of 3")
    assert f"--set training.length={2 * size + 3} " in said_of_long(texts, tokenizer, 3)
    assert said_of_long([], tokenizer, 3) == ""
