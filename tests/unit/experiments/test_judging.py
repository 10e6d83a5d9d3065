"""The judgement of synthetic cells whose truth is known."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from headwater.errors import BadDataError, UsageError
from headwater.evaluation.significance import hierarchical_bootstrap
from headwater.experiments.judgement import LabelEquivalence, Leaks, Pretraining, Summary
from headwater.experiments.judging import Shifted, judge, label_equivalence
from headwater.experiments.plan import Budget, CellResult, Cost

ROWS = 400
Shares = Mapping[str, Mapping[Budget, float]]
LABELS = [row % 4 for row in range(ROWS)]


def _cells(shares: Shares, *, seeds: int = 3, spread: float = 0.005) -> list[CellResult]:
    """Cells whose arms have so large a share right, on rows drawn at random for each cell."""
    rng = np.random.default_rng(0)
    found: list[CellResult] = []
    for arm, budgets in shares.items():
        for budget, share in budgets.items():
            for seed in range(seeds):
                right = rng.permutation(ROWS) < round((share + spread * (seed - (seeds - 1) / 2)) * ROWS)
                predictions = np.where(right, LABELS, (np.array(LABELS) + 1) % 4)
                found.append(
                    CellResult(
                        arm=arm,
                        budget=budget,
                        seed=seed,
                        score=float(right.mean()),
                        predictions=tuple(predictions.tolist()),
                        cost=Cost(seconds=1.0),
                    )
                )
    return found


HELPED: Shares = {
    "pretrained": {8: 0.7, 32: 0.8, 128: 0.85},
    "scratch": {8: 0.4, 32: 0.5, 128: 0.7},
    "floor": {8: 0.5, 32: 0.6, 128: 0.7},
}
EQUAL: Shares = {"pretrained": {8: 0.6, 32: 0.7}, "scratch": {8: 0.6, 32: 0.7}}


def test_a_clear_gain_is_called_helped_at_every_budget():
    found = judge(_cells(HELPED), LABELS)
    assert [(row.budget, row.verdict) for row in found.verdicts] == [
        (8, "helped"),
        (32, "helped"),
        (128, "helped"),
    ]
    assert found.headline == 32
    assert found.verdicts[1].difference == pytest.approx(0.3)


def test_swapped_arms_give_the_opposite_judgement():
    swapped: Shares = {"pretrained": HELPED["scratch"], "scratch": HELPED["pretrained"]}
    found = judge(_cells(swapped), LABELS)
    assert {row.verdict for row in found.verdicts} == {"hurt"}
    assert "made things worse: −30.0 points" in found.sentence


def test_equal_arms_show_no_difference():
    found = judge(_cells(EQUAL), LABELS)
    assert {row.verdict for row in found.verdicts} == {"no_difference"}
    assert "made no difference that 3 seeds can show" in found.sentence


def test_two_seeds_are_not_enough_however_large_the_difference():
    found = judge(_cells(HELPED, seeds=2), LABELS)
    assert {row.verdict for row in found.verdicts} == {"not_enough_seeds"}
    assert {row.p for row in found.verdicts} == {None}
    assert "2 seeds cannot say whether pre-training helped" in found.sentence


def test_p_values_are_corrected_for_the_number_of_budgets():
    one = judge(_cells({arm: {32: budgets[32]} for arm, budgets in EQUAL.items()}), LABELS).verdicts[0]
    shares: Shares = {"pretrained": {32: 0.7, 8: 0.9}, "scratch": {32: 0.7, 8: 0.2}}
    two = next(row for row in judge(_cells(shares), LABELS).verdicts if row.budget == 8)
    lone = judge(_cells({arm: {8: budgets[8]} for arm, budgets in shares.items()}), LABELS).verdicts[0]
    assert one.p is not None
    assert two.p is not None
    assert lone.p is not None
    assert two.p > 1.5 * lone.p


def test_a_summary_is_the_hierarchical_bootstrap_of_its_cells():
    cells = _cells(EQUAL)
    found = judge(cells, LABELS)
    row = next(row for row in found.summary if (row.arm, row.budget) == ("scratch", 8))
    scores = [
        np.array(cell.predictions) == np.array(LABELS)
        for cell in cells
        if (cell.arm, cell.budget) == ("scratch", 8)
    ]
    expected = hierarchical_bootstrap(np.stack(scores), rng=np.random.default_rng([0, 0]))
    assert (row.mean, row.low, row.high) == (expected.value, expected.low, expected.high)


def test_the_order_of_the_cells_changes_nothing():
    cells = _cells(HELPED)
    assert judge(cells, LABELS).to_dict() == judge(cells[::-1], LABELS).to_dict()


def test_intervals_of_accuracies_stay_between_nought_and_one():
    found = judge(_cells({"pretrained": {8: 0.97}, "scratch": {8: 0.05}}, spread=0.04), LABELS)
    assert all(0 <= row.low <= row.mean <= row.high <= 1 for row in found.summary)


def test_leaked_rows_count_for_nothing_and_are_reported():
    cells = _cells(EQUAL)
    # On the leaked rows the pre-trained arm is always right: it has read them.
    leaked = tuple(range(60))
    cells = [cell if cell.arm == "scratch" else _knowing(cell, leaked) for cell in cells]
    found = judge(cells, LABELS, leaks=Leaks(exact=leaked[:50], near=leaked[45:], dropped_train_rows=4))
    whole = judge(cells, LABELS)
    assert found.verdicts[0].difference < whole.verdicts[0].difference - 0.03
    leakage = found.to_dict()["leakage"]
    assert {name: value for name, value in leakage.items() if name != "with_leaked_rows"} == {
        "test_rows": 400,
        "leaked_rows": 60,
        "exact": 50,
        "near": 10,
        "scored_rows": 340,
        "dropped_train_rows": 4,
    }
    assert leakage["with_leaked_rows"] == [row.to_dict() for row in whole.summary]


def _knowing(cell: CellResult, rows: Sequence[int]) -> CellResult:
    predictions = list(cell.predictions)
    for row in rows:
        predictions[row] = LABELS[row]
    return CellResult.from_dict({**cell.to_dict(), "predictions": predictions})


def test_more_than_half_of_the_test_leaking_stops_with_the_data_error():
    with pytest.raises(BadDataError, match="201 of 400 test rows") as caught:
        judge(_cells(EQUAL), LABELS, leaks=Leaks(exact=tuple(range(201))))
    assert caught.value.exit_code == 65


def test_a_test_label_that_no_arm_knows_is_wrong_for_all():
    found = judge(_cells(EQUAL), [-1] * 10 + LABELS[10:])
    assert all(row.mean < 0.72 for row in found.summary)


def test_the_json_has_exactly_the_keys_that_were_promised():
    found = json.loads(json.dumps(judge(_cells(HELPED), LABELS).to_dict()))
    assert set(found) == {"sentence", "cells", "summary", "verdicts", "leakage", "pretraining"}
    assert {"arm", "budget", "seed", "score", "cost"} <= set(found["cells"][0])
    assert set(found["summary"][0]) == {"arm", "budget", "mean", "low", "high"}
    assert set(found["verdicts"][0]) == {"budget", "verdict", "difference", "low", "high", "p"}


def test_the_json_tells_what_each_choice_cost_as_far_as_that_was_counted():
    cells = [
        CellResult.from_dict({**cell.to_dict(), "tried": [["0.001", 0.5], ["0.01", 0.25]], **more})
        for cell, more in zip(
            _cells(HELPED), cycle([{"tried_costs": [{"seconds": 2.0}, {"seconds": 3.0}]}, {}]), strict=False
        )
    ]
    counted, uncounted = judge(cells, LABELS).to_dict()["cells"][:2]
    assert [(choice["choice"], choice["cost"]["seconds"]) for choice in counted["tried"]] == [
        ("0.001", 2.0),
        ("0.01", 3.0),
    ]
    assert uncounted["tried"][1] == {"choice": "0.01", "validation_score": 0.25, "cost": None}


def test_a_shifted_test_is_judged_by_its_own_labels():
    cells = [
        CellResult.from_dict({**cell.to_dict(), "shifted_predictions": list(cell.predictions[:100])})
        for cell in _cells(HELPED)
    ]
    found = judge(cells, LABELS, shifted=Shifted([(label + 1) % 4 for label in LABELS[:100]]))
    # The shifted labels are exactly the mistakes: who was right before is wrong now.
    assert found.shifted_verdicts[1].difference < 0 < found.verdicts[1].difference
    assert set(found.to_dict()["shifted"]) == {"summary", "verdicts", "leaked_rows"}


def test_predictions_of_another_test_file_are_refused():
    with pytest.raises(
        UsageError, match="400 predictions of pretrained at 8 labels, seed 0, and 399 test labels"
    ):
        judge(_cells(HELPED), LABELS[:-1])


def test_a_judgement_needs_both_arms():
    with pytest.raises(UsageError, match="train both arms"):
        judge(_cells({"pretrained": {8: 0.5}, "floor": {8: 0.5}}), LABELS)


def test_the_floor_and_the_parent_are_mentioned_where_they_matter():
    shares: Shares = {**HELPED, "parent": {32: 0.8}, "floor": {32: 0.8}}
    sentence = judge(_cells(shares), LABELS, pretraining=Pretraining(megabytes=41, seconds=660)).sentence
    assert sentence.startswith("Pre-training on 41 MB of your text is worth +30.0 points (95 % ")
    assert "it cost 11 minutes." in sentence
    assert "this run made no difference that 3 seeds can show" in sentence
    assert sentence.endswith(
        "The bag-of-words floor is within 1 point: this task may not need a Transformer."
    )


# ---- label equivalence


def _summary(**arms: Mapping[Budget, float]) -> list[Summary]:
    return [
        Summary(arm=arm, budget=budget, mean=mean, low=mean, high=mean, seeds=3)
        for arm, budgets in arms.items()
        for budget, mean in budgets.items()
    ]


DRAWN: dict[Budget, float] = {8: 8.0, 32: 32.0, 128: 128.0}


def _times(found: LabelEquivalence | None) -> tuple[float, bool]:
    assert found is not None
    return found.times, found.beyond


def test_a_score_halfway_between_two_budgets_lies_halfway_in_the_logarithm():
    summary = _summary(pretrained={32: 0.6}, scratch={32: 0.5, 128: 0.7})
    assert _times(label_equivalence(summary, 32, DRAWN)) == (pytest.approx(2.0), False)


def test_a_score_above_the_whole_scratch_curve_is_more_than_its_last_budget():
    summary = _summary(pretrained={32: 0.9}, scratch={8: 0.4, 32: 0.5, 128: 0.7, "all": 0.8})
    assert _times(label_equivalence(summary, 32, {**DRAWN, "all": 512.0})) == (pytest.approx(16.0), True)
    # Where the size of "all" is not known, the curve ends before it.
    assert _times(label_equivalence(summary, 32, DRAWN)) == (pytest.approx(4.0), True)


def test_a_dip_in_the_scratch_curve_does_not_make_labels_harmful():
    summary = _summary(pretrained={32: 0.65}, scratch={32: 0.6, 128: 0.5, "all": 0.7})
    found = label_equivalence(summary, 32, {**DRAWN, "all": 512.0})
    assert found is not None
    assert 4.0 < found.times < 16.0


def test_a_score_below_scratch_is_worth_no_more_labels():
    summary = _summary(pretrained={32: 0.4}, scratch={32: 0.5, 128: 0.7})
    assert label_equivalence(summary, 32, DRAWN) == LabelEquivalence(times=1.0, beyond=False)


def test_budgets_above_the_rows_bring_no_more_labels():
    summary = _summary(pretrained={32: 0.9}, scratch={32: 0.5, 128: 0.7, "all": 0.7})
    short: dict[Budget, float] = {32: 32.0, 128: 45.0, "all": 45.0}
    assert _times(label_equivalence(summary, 32, short)) == (pytest.approx(45 / 32), True)
    assert label_equivalence(summary, 32, {32: 20.0, 128: 20.0, "all": 20.0}) is None


def test_differences_end_at_one_and_few_rows_prove_little():
    cells = [
        replace(cell, predictions=(int(cell.arm == "pretrained"),) * 3)
        for cell in _cells({"pretrained": {8: 1.0}, "scratch": {8: 0.0}}, spread=0.0)
    ]
    (verdict,) = judge(cells, [1] * 3).verdicts
    assert (verdict.verdict, verdict.high) == ("no_difference", 1.0)
    assert verdict.p == pytest.approx(0.25)  # three rows of three, either way


def test_a_single_budget_makes_no_curve():
    assert label_equivalence(_summary(pretrained={32: 0.6}, scratch={32: 0.5}), 32, DRAWN) is None
