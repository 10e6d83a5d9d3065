"""chrF from counts that are taken once a row, against sacrebleu's own."""

from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from headwater.evaluation.metrics.chrf import chrf, chrf_of, counts_of
from headwater.evaluation.metrics.text import bleu_of, text_report

ENGLISH = [
    ("A dog runs over the grass.", "A brown dog is running over grass."),
    ("Two men", "Two men are sitting at a table."),
    ("", "Nothing was written here."),
    ("The same text.", "The same text."),
    ("a", "b"),
]
CHINESE = [("狗在草地上跑。", "一只棕色的狗在草地上奔跑。"), ("我喜歡 你", "我喜欢你。"), ("好", "好")]


def apart(rows: list[tuple[str, str]]) -> tuple[list[str], list[tuple[str]]]:
    return [text for text, _ in rows], [(reference,) for _, reference in rows]


@pytest.mark.parametrize("rows", [ENGLISH, CHINESE, ENGLISH[4:], CHINESE[2:], ENGLISH + CHINESE])
def test_counts_that_are_summed_give_what_sacrebleu_gives(rows: list[tuple[str, str]]) -> None:
    written, references = apart(rows)
    theirs = CHRF().corpus_score(written, [[reference for (reference,) in references]])
    assert chrf(np.sum([counts_of(*pair) for pair in rows], axis=0)) == pytest.approx(theirs.score)


def test_the_interval_holds_the_value_and_closes_where_all_rows_are_alike() -> None:
    found, signature = chrf_of(*apart(ENGLISH), rng=np.random.default_rng(0))
    assert found.low < found.value < found.high
    assert signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no")
    alike, _ = chrf_of(*apart(ENGLISH[:1] * 4), rng=np.random.default_rng(0))
    assert alike.low == pytest.approx(alike.value) == pytest.approx(alike.high)


def test_several_references_count_as_sacrebleu_counts_them() -> None:
    written = ["a brown dog runs over grass", "two men sit at a table", "a cat"]
    references = [
        ("a dog is running on the grass", "a brown dog runs across grass", "dogs run"),
        ("two men are sitting at a table",),
        ("the cat", "a cat"),
    ]
    streams: Any = [
        [several[place] if place < len(several) else None for several in references] for place in range(3)
    ]
    found, signature = chrf_of(written, references, rng=np.random.default_rng(0))
    assert found.value == pytest.approx(CHRF().corpus_score(written, streams).score)
    assert signature.startswith("nrefs:var")
    sums = np.sum(
        [
            max((counts_of(text, one) for one in several), key=chrf)
            for text, several in zip(written, references, strict=True)
        ],
        axis=0,
    )
    assert chrf(sums) == pytest.approx(found.value)
    bleu, signature = bleu_of(written, references, rng=np.random.default_rng(0))
    assert bleu.value == pytest.approx(BLEU().corpus_score(written, streams).score)
    assert signature.startswith("nrefs:var")
    report = text_report(written, references, sources=["1", "2", "3"])
    assert report.exact.value == pytest.approx(100 / 3)
    assert report.examples[2].reference == "the cat"


def test_a_report_tells_it_beside_bleu() -> None:
    report = text_report(*apart(CHINESE))
    assert report.to_dict()["chrf"]["value"] == report.chrf.value
    assert "chrF" in str(report)
    assert "chrF by sacrebleu: nrefs:1" in str(report)
