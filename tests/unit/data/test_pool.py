"""A pool: what enters, what is left out and counted, and nothing done twice."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from headwater.data import pool as pool_module
from headwater.data.batches import TokenBatches
from headwater.data.gathering import Paths
from headwater.data.pool import Pool, build_pool, vocabulary_size_for
from headwater.data.splits import text_digest
from headwater.data.tokenizer import Tokenizer
from headwater.errors import MissingInputError, StorageError, UsageError

WORDS = ["river", "stone", "winter", "letter", "garden", "silver", "music", "window", "harbour", "engine"]


def sentences(count: int, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, 12)) + f" number {seed} {line}." for line in range(count)]


def written(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def built(tmp_path: Path, *paths: Path, **choices: object) -> Pool:
    return build_pool(paths, cache=tmp_path / "cache", vocabulary_size=400, **choices)  # pyright: ignore[reportArgumentType]


def texts(pool: Pool, part: str = "train") -> set[str]:
    store = getattr(pool, part)
    return {pool.tokenizer.decode(store[number]) for number in range(len(store))}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return written(tmp_path / "corpus.txt", sentences(200, 1))


def test_every_document_is_on_one_side(tmp_path: Path, corpus: Path):
    pool = built(tmp_path, corpus, validation_share=0.2)
    train, validation = texts(pool), texts(pool, "validation")
    assert train | validation == set(sentences(200, 1))
    assert not train & validation
    assert 20 <= len(validation) <= 60


def test_the_facts_count_what_the_stores_hold(tmp_path: Path, corpus: Path):
    pool = built(tmp_path, corpus)
    assert pool.facts["documents"] == len(pool.train)
    assert pool.facts["bytes"] == sum(len(text.encode()) for text in texts(pool))
    assert pool.facts["bytes"] == pool.tokenizer.token_bytes[pool.train.tokens].sum()
    assert pool.facts["validation"]["documents"] == len(pool.validation)
    assert pool.train.digests.tolist() == [
        text_digest(pool.tokenizer.decode(pool.train[number])) for number in range(len(pool.train))
    ]


def test_held_out_rows_never_enter_and_are_counted(tmp_path: Path, corpus: Path):
    held_out = written(tmp_path / "labelled.csv", ["text,label", *(f"{s},a" for s in sentences(5, 1))])
    pool = built(tmp_path, corpus, hold_out=[held_out])
    assert not (texts(pool) | texts(pool, "validation")) & set(sentences(5, 1))
    assert pool.facts["left_out"]["by_reason"] == {"equals a held-out text": 5}
    assert pool.facts["held_out_texts"] == 5


def test_held_out_rows_never_enter_whichever_columns_are_read(tmp_path: Path) -> None:
    titles = [f"{one} and {other}" for one in WORDS[:4] for other in WORDS[4:9]]
    bodies = sentences(20, 2)
    rows = [f"{title},{body}" for title, body in zip(titles, bodies, strict=True)]
    everything = written(tmp_path / "all.csv", ["title,body", *rows])
    test = written(tmp_path / "test.csv", ["title,body", *rows[:8]])
    for column, kept in (("title", titles), ("body", bodies)):
        pool = built(tmp_path, everything, text=[column], hold_out=[test], validation_share=0.0)
        assert texts(pool) == set(kept[8:])
        assert pool.facts["left_out"]["by_reason"] == {"equals a held-out text": 8}


def test_held_out_lines_never_enter_whatever_a_document_is_taken_for(tmp_path: Path) -> None:
    lines = [f"quiet {word} over the old harbour wall" for word in WORDS]  # wrapped alike: one document
    pool = built(
        tmp_path,
        written(tmp_path / "all.csv", ["text,n", *(f"{line},1" for line in [*lines, *sentences(9, 3)])]),
        hold_out=[written(tmp_path / "held.txt", lines)],
        validation_share=0.0,
    )
    assert texts(pool) == set(sentences(9, 3))


def test_duplicates_are_left_out_and_counted(tmp_path: Path, corpus: Path):
    again = written(tmp_path / "again.txt", sentences(7, 1))
    pool = built(tmp_path, corpus, again)
    assert pool.facts["left_out"]["by_reason"] == {"exact duplicate": 7}


def test_files_named_as_validation_judge_and_test_files_never_enter(tmp_path: Path):
    folder = tmp_path / "corpus"
    written(folder / "train.txt", [*sentences(60, 1), *sentences(3, 2)])
    written(folder / "valid.txt", sentences(20, 2))
    written(folder / "test.txt", sentences(20, 3))
    pool = built(tmp_path, folder)
    assert texts(pool) == set(sentences(60, 1))
    assert texts(pool, "validation") == set(sentences(20, 2))
    assert pool.facts["passed_over"] == [str(folder / "test.txt")]
    assert pool.facts["left_out"]["by_reason"] == {"equals a held-out text": 3}
    assert texts(built(tmp_path, *sorted(folder.iterdir()))) == texts(pool)  # as a shell writes corpus/*


def test_a_test_file_that_is_all_the_user_names_enters(tmp_path: Path):
    pool = built(tmp_path, written(tmp_path / "test.txt", sentences(60, 3)))
    assert texts(pool) | texts(pool, "validation") == set(sentences(60, 3))


def test_a_folder_of_test_files_alone_is_refused(tmp_path: Path):
    written(tmp_path / "corpus" / "test.txt", sentences(60, 3))
    with pytest.raises(MissingInputError, match="name a file itself"):
        built(tmp_path, tmp_path / "corpus")


def test_every_document_knows_its_file_and_row(tmp_path: Path, corpus: Path):
    rows = [
        f'{{"note": "{text}"}}' for text in [*sentences(3, 1), *sentences(50, 4)]
    ]  # the first stand in corpus
    notes = written(tmp_path / "notes.jsonl", rows)
    pool = built(tmp_path, corpus, notes, validation_share=0.2)
    places = {text: f"{corpus} row {line}" for line, text in enumerate(sentences(200, 1), 1)}
    places |= {text: f"{notes} row {row}" for row, text in enumerate(sentences(50, 4), 4)}
    told = {
        pool.tokenizer.decode(pool.train[number]): pool.place(number) for number in range(len(pool.train))
    }
    assert told == {text: places[text] for text in texts(pool)}
    assert len(told) > 150


def test_the_second_call_builds_nothing(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch):
    first = built(tmp_path, corpus)
    monkeypatch.setattr(pool_module, "Gathering", None)
    second = built(tmp_path, corpus)
    assert second.train.tokens.tolist() == first.train.tokens.tolist()
    assert second.facts == first.facts
    assert second.fingerprints.matches(sentences(200, 1)[0]) == "exact"


def test_files_that_were_moved_and_renamed_are_not_prepared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, held_out = tmp_path / "corpus", written(tmp_path / "held.txt", sentences(2, 1))
    written(folder / "a.txt", [*sentences(60, 1), *sentences(3, 2)])
    written(folder / "b.txt", sentences(40, 2))
    written(folder / "test.txt", sentences(5, 3))
    first = built(tmp_path, folder, hold_out=[held_out])
    moved = tmp_path / "elsewhere" / "texts"
    shutil.move(folder, moved)
    (moved / "a.txt").rename(moved / "one.txt")
    (moved / "b.txt").rename(moved / "two.txt")
    held_out = held_out.rename(tmp_path / "kept apart.txt")
    monkeypatch.setattr(pool_module, "Gathering", None)
    second = built(tmp_path, moved, hold_out=[held_out])
    assert second.facts["key"] == first.facts["key"]
    assert {second.place(number).partition(" row ")[0] for number in range(len(second.train))} == {
        str(moved / "one.txt"),
        str(moved / "two.txt"),
    }
    assert [source["path"] for source in second.facts["sources"]] == [
        str(moved / "one.txt"),
        str(moved / "two.txt"),
    ]
    assert second.facts["train_paths"] == [str(moved)]
    assert second.facts["passed_over"] == [str(moved / "test.txt")]
    assert second.facts["hold_out"] == [str(held_out)]
    assert {row["path"] for row in second.facts["left_out"]["first"]} == {
        str(moved / "one.txt"),
        str(moved / "two.txt"),
    }
    assert "elsewhere" not in json.dumps(first.facts)


def test_what_a_name_or_a_folder_says_of_the_content_makes_another_pool(tmp_path: Path):
    lines = ["title\tbody", *(f"{text}\tsome words about it" for text in sentences(40, 1))]
    tables = [
        written(tmp_path / "one" / name, lines[:1] + part)
        for name, part in (("a.tsv", lines[1:20]), ("b.tsv", lines[20:]))
    ]
    together = built(tmp_path, tmp_path / "one").facts["key"]
    named = built(tmp_path, *tables).facts["key"]
    tables[1].rename(written(tmp_path / "one" / "below" / "b.tsv", []))
    apart = built(tmp_path, tmp_path / "one").facts["key"]
    page = written(tmp_path / "page.txt", sentences(40, 1))
    text = built(tmp_path, page).facts["key"]
    markdown = built(tmp_path, page.rename(tmp_path / "page.md")).facts["key"]
    assert len({together, named, apart, text, markdown}) == 5


def test_another_content_or_choice_is_another_pool(tmp_path: Path, corpus: Path):
    keys = {built(tmp_path, corpus).facts["key"], built(tmp_path, corpus, seed=1).facts["key"]}
    keys |= {built(tmp_path, corpus, hold_out=[written(tmp_path / "h.txt", sentences(2, 1))]).facts["key"]}
    keys |= {build_pool([corpus], cache=tmp_path / "cache", vocabulary_size=300).facts["key"]}
    written(corpus, sentences(201, 1))
    keys |= {built(tmp_path, corpus).facts["key"]}
    assert len(keys) == 5


def test_a_given_vocabulary_is_used_as_it_is(tmp_path: Path, corpus: Path):
    tokenizer = Tokenizer.learn(["something else"], 270)
    pool = built(tmp_path, corpus, tokenizer=tokenizer)
    assert pool.tokenizer.digest == tokenizer.digest


def test_an_incomplete_pool_is_built_again(tmp_path: Path, corpus: Path):
    first = built(tmp_path, corpus)
    first.train.path.unlink()
    assert built(tmp_path, corpus).train.tokens.tolist() == first.train.tokens.tolist()


def test_a_damaged_store_says_so(tmp_path: Path, corpus: Path):
    path = built(tmp_path, corpus).train.path
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StorageError, match="rebuilt"):
        built(tmp_path, corpus)


def test_a_corpus_that_mostly_repeats_itself_is_used_once(tmp_path: Path):
    different = [
        " ".join(chr(97 + (n * k) % 23) * (n % k + 2) for k in range(2, 14)) + "." for n in range(700)
    ]
    lines = [different[number % 700] for number in range(4000)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    pool = build_pool([tmp_path / "a.txt"], cache=tmp_path / "cache", vocabulary_size=300)
    assert 1 < pool.facts["documents"] <= 700
    assert pool.facts["left_out"]["rows"] == 4000


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, corpus: Path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(StorageError, match="HEADWATER_CACHE"):
        built(tmp_path, corpus)


@pytest.mark.parametrize("stage", ["reading", "learning the vocabulary", "encoding", "keeping fingerprints"])
def test_a_request_to_stop_leaves_nothing_behind(tmp_path: Path, corpus: Path, stage: str):
    written(corpus, sentences(1100, 1))

    def stop(now: str, done: int, total: int | None) -> None:
        if now.startswith(stage):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        built(tmp_path, corpus, progress=stop)
    assert list((tmp_path / "cache" / "pools").iterdir()) == []


def test_check_is_asked_in_every_stage(tmp_path: Path, corpus: Path):
    asked: list[None] = []
    built(tmp_path, corpus, check=lambda: asked.append(None))
    assert len(asked) >= 3


def test_weights_mix_the_paths(tmp_path: Path, corpus: Path):
    small = written(tmp_path / "small.txt", sentences(40, 9))
    pool = built(tmp_path, corpus, small, weights=[1.0, 3.0])
    stream = TokenBatches(pool.windows(64), pool.tokenizer, tokens_per_batch=64 * 64, seed=0)
    items = [int(i) for number in range(stream.batches_per_epoch(0) * 4) for i in stream.batch(number).items]
    of_small = [pool.tokenizer.decode(pool.train[item]) in sentences(40, 9) for item in items]
    assert np.mean(of_small) == pytest.approx(0.75, abs=0.03)


def test_without_weights_every_window_comes_once(tmp_path: Path, corpus: Path):
    pool = built(tmp_path, corpus)
    stream = TokenBatches(pool.windows(64), pool.tokenizer, tokens_per_batch=640, seed=0)
    items = [int(i) for number in range(stream.batches_per_epoch(0)) for i in stream.batch(number).items]
    assert sorted(items) == list(range(len(pool.train)))


def test_with_weights_a_text_of_two_paths_counts_for_the_smaller(tmp_path: Path, corpus: Path):
    own = written(tmp_path / "own.txt", corpus.read_text(encoding="utf-8").splitlines()[:40])
    facts = built(tmp_path, corpus, own, weights=[1.0, 3.0]).facts
    assert facts["train_paths"] == [str(own), str(corpus)]
    assert facts["documents_of_paths"][0] > 30
    assert facts["weights"] == [3.0, 1.0]


def test_a_file_of_a_weighed_folder_can_weigh_more(tmp_path: Path, corpus: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    shutil.copy(corpus, folder / "all.txt")
    own = written(folder / "own.txt", sentences(40, 9))
    pool = built(tmp_path, folder, own, weights=[1.0, 3.0])
    assert pool.facts["train_paths"] == [str(own), str(folder)]
    assert min(pool.facts["documents_of_paths"]) > 30
    assert len(pool.windows(64)) > 0
    with pytest.raises(UsageError, match="named twice"):
        Paths.sort([own, own], [1.0, 2.0])


def test_weights_are_one_a_path(corpus: Path):
    with pytest.raises(UsageError, match="one weight a path"):
        Paths.sort([corpus], [1.0, 2.0])


def test_packed_files_are_read_as_they_are(tmp_path: Path, corpus: Path):
    packed = tmp_path / "packed.txt.gz"
    with corpus.open("rb") as plain, gzip.open(packed, "wb") as file:
        shutil.copyfileobj(plain, file)
    assert texts(built(tmp_path, packed)) == texts(built(tmp_path, corpus))


def test_the_vocabulary_grows_with_the_corpus():
    sizes = [vocabulary_size_for(int(megabytes * 1e6)) for megabytes in (0.1, 10, 100, 10_000)]
    assert sizes == [4096, 8192, 16384, 32768]


@pytest.mark.data
@pytest.mark.parametrize("name", ["tinyshakespeare", "chinese_tang_poems"])
def test_real_text_comes_back_whole(tmp_path: Path, data_sets: Path, name: str):
    folder = data_sets / "lm" / name
    pool = build_pool([folder / "valid.txt"], cache=tmp_path)
    raw = (folder / "valid.txt").read_text(encoding="utf-8")
    found = pool.facts["bytes"] + pool.facts["validation"]["bytes"]
    assert 0.9 * len(raw.encode()) < found <= len(raw.encode())
    assert all(text in raw for text in texts(pool))
    packed = TokenBatches(pool.windows(128), pool.tokenizer, tokens_per_batch=2048, seed=0, packed=True)
    assert packed.efficiency > 0.95


def test_repetitions_stay_where_the_user_keeps_them_but_held_out_texts_do_not(tmp_path: Path) -> None:
    events = [line for line in sentences(4, 1) for _ in range(5)]
    held_out = written(tmp_path / "held.txt", events[:1])
    path = written(tmp_path / "events.txt", events)
    kept = built(tmp_path, path, keep_duplicates=True, hold_out=[held_out], validation_share=0.0)
    assert kept.facts["documents"] == 15
    once = built(tmp_path, path, hold_out=[held_out], validation_share=0.0)
    assert once.facts["documents"] == 3
