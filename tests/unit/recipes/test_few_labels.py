"""The recipe for few labels: an answer stands only where enough of its kind were right."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from recipes.few_labels.triage import main, surely_right, threshold


@pytest.mark.parametrize(("right", "answers"), [(19, 20), (95, 100), (40, 40)])
def test_the_lower_limit_is_the_share_with_which_as_many_would_be_right_in_five_percent(
    right: int, answers: int
) -> None:
    assert binom.sf(right - 1, answers, surely_right(right, answers)) == pytest.approx(0.05, abs=1e-6)


def test_the_lowest_probability_that_proves_the_share_is_chosen() -> None:
    shares = np.linspace(1.0, 0.5, 500)
    right = np.arange(500) % 10 != 9  # nine in ten among all …
    right[:300] = True  # … and all of the surest three hundred
    found = threshold(shares, right, 0.95)
    assert found is not None
    assert surely_right(int(right[shares >= found].sum()), int((shares >= found).sum())) >= 0.95
    assert found <= shares[299]
    assert threshold(shares, np.zeros(500, bool), 0.5) is None
    assert threshold(np.full(500, 0.9), right, 0.97) is None  # equal probabilities stand or fall together


def test_what_cannot_be_told_apart_is_seldom_let_through() -> None:
    rng = np.random.default_rng(0)
    given = [threshold(rng.random(380), rng.random(380) < 0.899, 0.9) is not None for _ in range(200)]
    assert np.mean(given) <= 0.05


def test_new_rows_are_divided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)

    def written(name: str, count: int) -> tuple[str, str]:
        sure = rng.random(count) < 0.7
        true = rng.choice(["flu", "cold"], count)
        told = [t if s or rng.random() < 0.5 else "cold" for t, s in zip(true, sure, strict=True)]
        table = "label\ttext\n" + "".join(f"{t}\tnote {n} of {name}\n" for n, t in enumerate(true))
        (tmp_path / f"{name}.tsv").write_text(table)
        rows = [
            {"label": a, "probabilities": {a: 0.99 if s else 0.6}} for a, s in zip(told, sure, strict=True)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(tmp_path / f"{name}.tsv"), str(tmp_path / f"{name}.jsonl")

    labelled, new = written("valid", 240), written("new", 300)
    main([*labelled, new[1], "--truth", new[0]])
    said = capsys.readouterr().out
    assert "answers of at least 0.990 stand" in said
    assert "of these 100.0% are right" in said
    with pytest.raises(SystemExit, match="no probability proves 100%"):
        main([*labelled, new[1], "--right", "1.0"])
