"""chrF from counts that are taken once a row, against sacrebleu's own."""

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF

from headwater.evaluation.metrics.chrf import chrf, chrf_of, counts_of
from headwater.evaluation.metrics.text import text_report

ENGLISH = [
    ("A dog runs over the grass.", "A brown dog is running over grass."),
    ("Two men", "Two men are sitting at a table."),
    ("", "Nothing was written here."),
    ("The same text.", "The same text."),
    ("a", "b"),
]
CHINESE = [("狗在草地上跑。", "一只棕色的狗在草地上奔跑。"), ("我喜歡 你", "我喜欢你。"), ("好", "好")]


def apart(rows: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [text for text, _ in rows], [reference for _, reference in rows]


@pytest.mark.parametrize("rows", [ENGLISH, CHINESE, ENGLISH[4:], CHINESE[2:], ENGLISH + CHINESE])
def test_counts_that_are_summed_give_what_sacrebleu_gives(rows: list[tuple[str, str]]) -> None:
    written, references = apart(rows)
    theirs = CHRF().corpus_score(written, [references])
    assert chrf(np.sum([counts_of(*pair) for pair in rows], axis=0)) == pytest.approx(theirs.score)


def test_the_interval_holds_the_value_and_closes_where_all_rows_are_alike() -> None:
    found, signature = chrf_of(*apart(ENGLISH), rng=np.random.default_rng(0))
    assert found.low < found.value < found.high
    assert signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no")
    alike, _ = chrf_of(*apart(ENGLISH[:1] * 4), rng=np.random.default_rng(0))
    assert alike.low == pytest.approx(alike.value) == pytest.approx(alike.high)


def test_a_report_tells_it_beside_bleu() -> None:
    report = text_report(*apart(CHINESE))
    assert report.to_dict()["chrf"]["value"] == report.chrf.value
    assert "chrF" in str(report)
    assert "chrF by sacrebleu: nrefs:1" in str(report)
