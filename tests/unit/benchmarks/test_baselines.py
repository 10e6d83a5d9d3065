"""What needs no model, on texts small enough to count by hand."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.baselines import first_words, gazetteer, ngrams, overlap, popularity


def test_the_longest_name_of_the_list_is_taken_with_its_usual_kind(tmp_path: Path) -> None:
    train, test = tmp_path / "train.bio", tmp_path / "test.bio"
    train.write_text(
        "New\tB-LOC\nYork\tI-LOC\n\nYork\tB-ORG\n\nYork\tB-LOC\n\nYork\tB-ORG\n\n", encoding="utf-8"
    )
    test.write_text("In\tO\nNew\tB-LOC\nYork\tI-LOC\nYork\tB-ORG\n\n", encoding="utf-8")
    names = gazetteer.names_in(gazetteer.sentences(train))
    assert gazetteer.tagged(["In", "New", "York", "York"], names, 2) == ["O", "B-LOC", "I-LOC", "B-ORG"]
    assert gazetteer.judge(train, test).f1.value == 1.0


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [("A dog.", "a DOG", 1.0), ("one two", "two three", 1 / 3), ("你好", "你好嗎", 2 / 3), ("", "", 0.0)],
)
def test_the_overlap_of_two_texts(first: str, second: str, shared: float) -> None:
    assert overlap.overlap(first, second) == pytest.approx(shared)


def test_the_best_threshold_parts_what_can_be_parted() -> None:
    shared, labels = np.array([0.1, 0.2, 0.6, 0.9]), np.array([0.0, 0.0, 1.0, 1.0])
    threshold = overlap.best_threshold(shared, labels)
    assert threshold == 0.6
    assert overlap.accuracy(shared, labels, threshold).value == 100.0


def test_probabilities_of_all_characters_sum_to_one() -> None:
    text = "the cat sat on the mat"
    counts, alphabet = ngrams.counted(text, 3), sorted(set(text))
    for context in ("th", "zz", "at", ""):
        shares = [ngrams.probability(character, context, counts, len(alphabet)) for character in alphabet]
        assert sum(shares) == pytest.approx(1.0)
    assert ngrams.probability("e", "th", counts, len(alphabet)) > 0.5


def test_an_order_of_one_counts_characters() -> None:
    """p(a) = (n(a) + t / alphabet) / (n + t): of "aab" and two kinds (2 + 1) / 5 and (1 + 1) / 5."""
    assert ngrams.nats("aab", "ab", 1) == pytest.approx(-(np.log(3 / 5) + np.log(2 / 5)) / 2)


def test_the_first_words_are_judged_as_a_title(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_text("label\ttitle\ttext\na\tone two\tone two three\n", encoding="utf-8")
    assert first_words.judge(path, 2).exact.value == 100.0


def test_what_most_users_had_is_recommended_first(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    events = {"a": "p q s", "b": "p q t", "c": "r s q", "d": "p"}
    rows = [
        f"{user}\t{item}\t{time}\n"
        for user, items in events.items()
        for time, item in enumerate(items.split())
    ]
    path.write_text("user\titem\ttimestamp\n" + "".join(rows), encoding="utf-8")
    report = popularity.judge(path)
    assert (report.users, report.items, report.not_learnt, report.had_before) == (3, 2, 3, 0)
    assert [score.name for score in report.baselines] == ["item-item, last 1"]
