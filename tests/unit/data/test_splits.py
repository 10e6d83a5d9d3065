import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headwater.data import (
    Deduplicator,
    Example,
    Fingerprints,
    HoldOut,
    Problems,
    read_labelled,
    split_of,
    text_digest,
)
from headwater.data.key_index import KeyIndex
from headwater.data.minhash import agreement, fold, signatures
from headwater.errors import BadDataError, MissingInputError

WORDS = [
    f"{first}{second}"
    for first in ("ka", "lo", "mi", "ne", "pu", "ra", "so", "ti")
    for second in "bdfgklmnprst"
]


def prose(seed: int, count: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def changed(text: str, words: int, seed: int = 0) -> str:
    parts = text.split()
    for place in random.Random(seed).sample(range(len(parts)), words):
        parts[place] = "zzzz"
    return " ".join(parts)


def jaccard(left: str, right: str, size: int) -> float:
    """The definition, on the sets of shingles written out; both ends are padded as in the signatures."""
    sets = [{(text + "\0" * size)[n : n + size] for n in range(len(text))} for text in (left, right)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def numbered(texts: list[str]) -> list[Example]:
    return [Example((text,), None, "a.txt", row) for row, text in enumerate(texts, start=1)]


@pytest.mark.parametrize(
    "other", ["hello  world", " Hello World\n", "HELLO\tWORLD", "ｈｅｌｌｏ world", "hello\u00a0world"]
)
def test_the_digest_folds_case_width_and_white_space(other: str):
    assert text_digest(other) == text_digest("hello world")
    assert text_digest("hello worlds") != text_digest("hello world")


def test_folding_full_width_marks_first_changes_nothing():
    import unicodedata

    text = "你好，世界！（ＡＢＣ）：；？ ﬁ Å"
    assert fold(text) == " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def test_a_split_takes_its_share_and_stays():
    digests = [text_digest(prose(seed, 8)) for seed in range(4000)]
    taken = [split_of(digest, 0.1, "validation") for digest in digests]
    assert abs(sum(taken) / 4000 - 0.1) < 4 * (0.1 * 0.9 / 4000) ** 0.5
    assert taken == [split_of(digest, 0.1, "validation") for digest in digests]
    other = [split_of(digest, 0.1, "probe") for digest in digests]
    assert sum(a and b for a, b in zip(taken, other, strict=True)) < 100


def test_a_larger_share_holds_the_smaller_one():
    digests = range(0, 2**64, 2**54)
    assert all(split_of(digest, 0.3, "x") for digest in digests if split_of(digest, 0.1, "x"))


@pytest.mark.parametrize("words", [0, 2, 5, 10, 20])
def test_signatures_estimate_the_jaccard_similarity(words: int):
    pairs = [(prose(seed, 200), changed(prose(seed, 200), words, seed)) for seed in range(20)]
    exact = np.mean([jaccard(left, right, 5) for left, right in pairs])
    signed, _ = signatures([text for pair in pairs for text in pair])
    estimate = agreement(signed[0::2], signed[1::2]).mean()
    assert abs(estimate - exact) < 4 * (0.25 / 64 / 20) ** 0.5 + 1e-9


def test_chinese_shingles_are_three_characters_long():
    rng = random.Random(0)
    left = "".join(chr(0x4E00 + rng.randrange(3000)) for _ in range(2000))
    right = left[:1800] + "一" * 200
    signed, _ = signatures([left, right])
    assert abs(float(agreement(signed[:1], signed[1:])[0]) - jaccard(left, right, 3)) < 0.2


def test_a_signature_does_not_depend_on_the_other_texts():
    texts = [prose(seed, 30 + seed) for seed in range(50)] + [prose(99, 30_000)]
    together, _ = signatures(texts)
    alone = np.concatenate([signatures([text])[0] for text in texts])
    assert (together == alone).all()


def test_very_long_texts_do_not_agree_by_chance():
    signed, _ = signatures(
        [prose(1, 100_000), "".join(chr(97 + n % 7 + n // 7 % 11) for n in range(400_000))]
    )
    assert float(agreement(signed[:1], signed[1:])[0]) < 0.2


def test_exact_near_and_unknown_texts_are_told_apart():
    pool = Fingerprints()
    pool.add_many(prose(seed) for seed in range(300))
    assert pool.matches(prose(7).upper()) == "exact"
    assert pool.matches(changed(prose(7), 1)) == "near"
    assert pool.matches(prose(1000)) is None
    assert pool.matches_many([prose(8), prose(1001)]) == ["exact", None]
    assert len(pool) == 300


def test_nearly_all_pairs_of_jaccard_beyond_the_threshold_are_found():
    texts = [prose(seed, 200) for seed in range(200)]
    pool = Fingerprints()
    pool.add_many(texts)
    variants = [changed(text, 3) for text in texts]
    assert min(jaccard(left, right, 5) for left, right in zip(texts, variants, strict=True)) > 0.88
    assert pool.matches_many(variants).count("near") >= 195


def test_short_texts_match_only_exactly():
    pool = Fingerprints()
    pool.add("a short text")
    assert pool.matches("A short text") == "exact"
    assert pool.matches("a short texts") is None


@pytest.mark.parametrize(
    "row",
    ["This row hides inside a longer document, word by word.", "这一行藏在一篇更长的文章里面，一字不差。"],
)
def test_a_row_inside_a_long_document_is_found_both_ways(row: str):
    document = "\n".join([prose(1), row, prose(2)])
    pool = Fingerprints()
    pool.add(document)
    assert pool.matches(row) == "exact"
    held_out = Fingerprints()
    held_out.add(row)
    assert held_out.matches(document) == "exact"


def test_short_lines_of_a_document_are_not_registered():
    pool = Fingerprints()
    pool.add("Yes.\n" + prose(1))
    assert pool.matches("Yes.") is None


def test_adding_one_by_one_equals_adding_at_once():
    texts = [prose(seed) for seed in range(40)]
    one, many = Fingerprints(), Fingerprints()
    for text in texts:
        one.add(text)
    many.add_many(texts)
    queries = [*texts, *(changed(text, 1) for text in texts), prose(999)]
    assert one.matches_many(queries) == many.matches_many(queries)


def test_saved_fingerprints_answer_as_before(tmp_path: Path):
    pool = Fingerprints()
    pool.add_many(prose(seed) for seed in range(50))
    pool.save(tmp_path / "pool.arrow")
    loaded = Fingerprints.load(tmp_path / "pool.arrow")
    queries = [prose(3), changed(prose(3), 1), prose(500)]
    assert loaded.matches_many(queries) == pool.matches_many(queries) == ["exact", "near", None]
    assert len(loaded) == 50
    loaded.add(prose(500))
    assert loaded.matches(prose(500)) == "exact"
    assert [path.name for path in tmp_path.iterdir()] == ["pool.arrow"]


def test_empty_fingerprints_can_be_saved(tmp_path: Path):
    Fingerprints().save(tmp_path / "pool.arrow")
    assert Fingerprints.load(tmp_path / "pool.arrow").matches("anything at all") is None


def test_a_flipped_byte_in_saved_fingerprints_is_never_believed(tmp_path: Path):
    pool = Fingerprints()
    pool.add_many(prose(seed) for seed in range(20))
    path = tmp_path / "pool.arrow"
    pool.save(path)
    intact = path.read_bytes()
    believed = pool.matches_many([prose(3), prose(500)])
    for place in random.Random(0).sample(range(len(intact)), 60):
        path.write_bytes(intact[:place] + bytes([intact[place] ^ 0x10]) + intact[place + 1 :])
        try:
            loaded = Fingerprints.load(path)
        except BadDataError:
            continue
        # Padding between the buffers belongs to nobody: there the content is still what it was.
        assert loaded.matches_many([prose(3), prose(500)]) == believed and len(loaded) == 20


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path):
    with pytest.raises(MissingInputError, match="no fingerprint file"):
        Fingerprints.load(tmp_path / "none.arrow")
    with pa.OSFile(str(tmp_path / "other.arrow"), "wb") as sink:
        table = pa.table({"a": [1]})
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(BadDataError, match="not a readable fingerprint file"):
        Fingerprints.load(tmp_path / "other.arrow")


def test_the_first_of_equal_texts_stays():
    problems = Problems()
    texts = [prose(1), prose(2), prose(1).title(), changed(prose(2), 1), prose(3)]
    kept = list(Deduplicator(problems).filter(numbered(texts)))
    assert [example.row for example in kept] == [1, 2, 5]
    assert [(problem.row, problem.reason) for problem in problems.first()] == [
        (3, "exact duplicate"),
        (4, "near duplicate"),
    ]


def test_near_duplicates_may_stay_on_request():
    texts = [prose(2), changed(prose(2), 1), prose(2)]
    assert len(list(Deduplicator(Problems(), near=False).filter(numbered(texts)))) == 2


def test_duplicates_are_found_across_batches():
    texts = [prose(seed, 12) for seed in range(1500)]
    texts.append(changed(prose(5, 60), 0))
    first = [prose(5, 60), *texts[:-1], changed(prose(5, 60), 1)]
    kept = list(Deduplicator(Problems()).filter(numbered(first)))
    assert kept[0].row == 1 and kept[-1].row != len(first)


def test_documents_that_share_one_line_both_stay():
    line = "Copyright by the owners of this collection, all rights reserved."
    texts = [f"{prose(1)}\n{line}", f"{prose(2)}\n{line}"]
    assert len(list(Deduplicator(Problems()).filter(numbered(texts)))) == 2


def test_held_out_rows_are_kept_out_of_the_pool():
    held_out = Fingerprints()
    held_out.add_many([prose(1), prose(2)])
    problems = Problems()
    texts = [prose(1), changed(prose(2), 1), prose(3), prose(4) + "\n" + prose(1)]
    kept = list(HoldOut(held_out, problems).filter(numbered(texts)))
    assert [example.row for example in kept] == [3]
    assert problems.by_reason() == {"equals a held-out text": 2, "nearly equals a held-out text": 1}


def test_the_key_index_answers_like_a_dictionary():
    rng = np.random.default_rng(0)
    index, expected = KeyIndex(), dict[int, list[int]]()
    for size in (1, 50, 3, 200, 7):
        keys = rng.integers(0, 200, size, dtype=np.uint64)
        owners = rng.integers(0, 1000, size).astype(np.int32)
        index.add(keys, owners)
        for key, owner in zip(keys.tolist(), owners.tolist(), strict=True):
            expected.setdefault(key, []).append(owner)
    queries = np.arange(200, dtype=np.uint64)
    rows, owners = index.find(queries)
    found: dict[int, list[int]] = {}
    for row, owner in zip(rows.tolist(), owners.tolist(), strict=True):
        found.setdefault(int(queries[row]), []).append(owner)
    assert {key: sorted(owners) for key, owners in found.items()} == {
        key: sorted(v) for key, v in expected.items()
    }
    assert index.has(queries).tolist() == [key in expected for key in range(200)]
    assert len(index) == 261


@pytest.mark.data
def test_a_public_test_part_hidden_in_a_corpus_is_found(data_sets: Path):
    test = read_labelled(data_sets / "classification_en/ag_news_7600", split="test").examples
    train = read_labelled(data_sets / "classification_en/ag_news_7600", split="train").examples
    pool = Fingerprints()
    pool.add_many(
        "\n".join(example.text for example in train[start : start + 50]) for start in range(0, 5700, 50)
    )
    assert pool.matches_many(example.text for example in train).count(None) < 0.01 * len(train)
    assert pool.matches_many(example.text for example in test).count(None) > 0.98 * len(test)
