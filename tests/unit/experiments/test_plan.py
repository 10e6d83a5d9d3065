"""Which rows and cells: nested draws that do not depend on the file's order, cuts, and kept cells."""

import dataclasses
import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import StorageError, UsageError
from headwater.experiments.plan import (
    BUDGETS,
    Budget,
    Cell,
    CellResult,
    CellStore,
    Cost,
    Plan,
    cell_key,
    draw_rows,
    headline_budget,
    rows_apart,
    short_classes,
    take_validation,
)


def _labelled(rows: int = 600, seed: int = 0) -> tuple[list[str], list[int]]:
    rng = np.random.default_rng(seed)
    labels = [str(label) for label in rng.choice(["a", "b", "c"], size=rows, p=[0.6, 0.3, 0.1])]
    return labels, [int(digest) for digest in rng.integers(2**64, size=rows, dtype=np.uint64)]


def _plan(**changes: object) -> Plan:
    plan = Plan(
        arms=("pretrained", "scratch", "floor"),
        cell_seconds={"pretrained": 60.0, "scratch": 60.0, "floor": 6.0},
        sweep_sizes={"pretrained": 3, "scratch": 3},
    )
    return dataclasses.replace(plan, **changes)  # pyright: ignore[reportArgumentType]


# ---- rows


def test_a_budget_gives_so_many_rows_of_every_class():
    labels, digests = _labelled()
    drawn = [labels[row] for row in draw_rows(labels, digests, 8, seed=0)]
    assert {label: drawn.count(label) for label in "abc"} == {"a": 8, "b": 8, "c": 8}


def test_a_smaller_budget_is_part_of_a_larger_one():
    labels, digests = _labelled()
    small, middle, large, everything = (
        set(draw_rows(labels, digests, budget, 1).tolist()) for budget in BUDGETS
    )
    assert small < middle < large < everything == set(range(600))


@given(st.randoms(use_true_random=False))
def test_the_draw_does_not_depend_on_the_order_of_the_file(random: Random):
    labels, digests = _labelled(rows=60)
    order = list(range(60))
    random.shuffle(order)
    drawn = [digests[row] for row in draw_rows(labels, digests, 5, seed=3)]
    shuffled_labels, shuffled = [labels[row] for row in order], [digests[row] for row in order]
    assert [shuffled[row] for row in draw_rows(shuffled_labels, shuffled, 5, seed=3)] == drawn


def test_another_seed_draws_other_rows():
    labels, digests = _labelled()
    first, second = (set(draw_rows(labels, digests, 32, seed).tolist()) for seed in (0, 1))
    assert len(first & second) < len(first) / 2


def test_every_row_is_drawn_about_equally_often():
    labels, digests = ["a"] * 50, list(range(50))
    counts = np.zeros(50)
    for seed in range(400):
        counts[draw_rows(labels, digests, 10, seed)] += 1
    assert counts.min() > 50  # 80 expected, standard deviation 8
    assert counts.max() < 115


def test_repeats_of_a_text_come_after_all_distinct_ones():
    labels, digests = ["a"] * 20, [1] * 12 + list(range(2, 10))
    drawn = [digests[row] for row in draw_rows(labels, digests, 9, seed=0)]
    assert sorted(drawn) == list(range(1, 10))


def test_a_class_with_fewer_rows_gives_all_and_is_reported():
    labels, digests = ["a"] * 100 + ["b"] * 5, list(range(105))
    drawn = [labels[row] for row in draw_rows(labels, digests, 32, seed=0)]
    assert (drawn.count("a"), drawn.count("b")) == (32, 5)
    assert short_classes(labels, 32) == {"b": 5}
    assert short_classes(labels, "all") == {}


def test_validation_is_a_tenth_of_every_class_whatever_the_order():
    labels, digests = _labelled()
    taken = take_validation(labels, digests)
    for label in "abc":
        of_class = np.array([found == label for found in labels])
        assert taken[of_class].sum() == np.ceil(0.1 * of_class.sum())
    assert list(take_validation(labels[::-1], digests[::-1])) == list(taken[::-1])


def test_equal_texts_are_never_on_both_sides_of_the_validation():
    labels, digests = ["a", "b"] * 100, [number // 4 for number in range(200)]
    taken = take_validation(labels, digests)
    inside = {digest for digest, chosen in zip(digests, taken, strict=True) if chosen}
    outside = {digest for digest, chosen in zip(digests, taken, strict=True) if not chosen}
    assert inside
    assert not inside & outside


def test_a_class_with_a_single_text_stays_in_training():
    assert list(take_validation(["a", "a", "b"], [1, 2, 3])).count(True) == 1
    assert not take_validation(["a", "a", "b"], [1, 2, 3])[2]


def test_training_rows_that_equal_held_out_rows_are_dropped():
    assert list(rows_apart([(1,), (2,), (3, 4), (2, 5)], [2, 9])) == [True, False, True, False]


# ---- plan


@pytest.mark.parametrize(
    ("budgets", "headline"),
    [
        (BUDGETS, 32),
        ((8, 64, "all"), 64),
        ((8, 16), 16),
        (("all",), "all"),
        ((16, 64), 16),
        ((1000, "all"), 1000),
    ],
)
def test_the_headline_is_the_budget_nearest_to_32(budgets: tuple[Budget, ...], headline: Budget):
    assert headline_budget(budgets) == headline


def test_a_plan_counts_the_sweep_once_per_arm_and_budget():
    plan = _plan()
    per_budget_first_seed = 3 * 60 + 3 * 60 + 6
    per_budget_other_seed = 60 + 60 + 6
    assert plan.minutes == pytest.approx(4 * (per_budget_first_seed + 2 * per_budget_other_seed) / 60)
    assert len(plan.cells) == 3 * 4 * 3


def test_a_finished_cell_costs_nothing_more():
    plan = _plan()
    rest = _plan(finished=frozenset({Cell("pretrained", 8, 0)}))
    assert plan.minutes - rest.minutes == pytest.approx(3.0)


def test_few_labels_take_their_share_of_the_longest_training():
    longest, shorter = _plan(budgets=("all",)), _plan(budgets=(8,), efforts={8: 0.25, "all": 1.0})
    assert shorter.minutes == pytest.approx(longest.minutes / 4)


def test_cells_side_by_side_divide_the_time():
    assert _plan(processes=3).minutes == pytest.approx(_plan().minutes / 3)


def test_time_cuts_seeds_first():
    cut = _plan().cut_to(40)
    assert (cut.seeds, cut.budgets) == ((0, 1), BUDGETS)
    assert cut.minutes <= 40
    assert cut.cuts == ("2 of 3 seeds, to fit 40 minutes",)


def test_time_cuts_budgets_next_and_the_headline_last():
    assert _plan().cut_to(20).budgets == (8, 32, "all")
    assert _plan().cut_to(13).budgets == (32, "all")
    cut = _plan().cut_to(7)
    assert cut.budgets == (32,)
    assert "without the budgets 8, 128, all" in cut.cuts[1]


def test_time_never_cuts_arms_but_says_that_it_is_not_enough():
    cut = _plan().cut_to(1)
    assert cut.arms == _plan().arms
    assert "still about 6 minutes" in cut.cuts[-1]


def test_what_is_finished_is_never_cut_and_seeds_come_back_when_a_budget_goes():
    whole = _plan(budgets=(8, 32, "all"), efforts={"all": 100.0})
    finished = frozenset(cell for cell in whole.cells if cell.budget != "all")
    cut = dataclasses.replace(whole, finished=finished).cut_to(5)
    assert (cut.seeds, cut.budgets, cut.minutes) == ((0, 1, 2), (8, 32), 0)
    assert cut.cuts == ("without the budgets all, to fit 5 minutes",)


def test_less_than_a_minute_is_said_in_parts_of_one():
    cut = _plan(cell_seconds={"pretrained": 1.0, "scratch": 1.0, "floor": 0.0}).cut_to(0.01)
    assert "still about 0.1 minutes, more than the 0.01 asked for" in cut.cuts[-1]


def test_a_plan_that_fits_is_not_cut():
    assert _plan().cut_to(10_000) == _plan()


def test_an_interrupted_plan_has_whole_curves_of_its_first_seeds():
    assert [cell.seed for cell in _plan().cells] == [0] * 12 + [1] * 12 + [2] * 12


def test_a_plan_that_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="'magic'"):
        _plan(arms=("magic",))
    with pytest.raises(UsageError, match="without cells"):
        _plan(seeds=())
    with pytest.raises(UsageError, match="no time estimate"):
        _plan(arms=("pretrained", "parent"))


# ---- cells


@pytest.fixture
def result() -> CellResult:
    return CellResult(
        arm="pretrained",
        budget=8,
        seed=1,
        score=0.5,
        predictions=(0, 1),
        cost=Cost(seconds=1.5, tokens=100, flops=1e12, steps=7),
        learning_rate=1e-3,
        tried=(("0.001", 0.5), ("0.01", 0.25)),
        tried_costs=(Cost(seconds=1.5, tokens=100, flops=1e12, steps=7), Cost(seconds=2.0)),
        probabilities=((0.75, 0.25), (0.1, 0.9)),
    )


def test_a_kept_cell_comes_back_equal(tmp_path: Path, result: CellResult):
    store = CellStore(tmp_path / "cells")
    assert store.load("k") is None
    store.save("k", result)
    assert store.load("k") == result
    assert [path.name for path in store.folder.iterdir()] == ["k.json"]


def test_a_cell_that_was_kept_before_sweeps_were_counted_comes_back_without(result: CellResult):
    before = {name: value for name, value in result.to_dict().items() if name != "tried_costs"}
    assert CellResult.from_dict(before) == dataclasses.replace(result, tried_costs=())


def test_a_torn_cell_is_named_and_never_taken_for_finished(tmp_path: Path, result: CellResult):
    store = CellStore(tmp_path)
    store.save("k", result)
    path = store.path("k")
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(StorageError, match=r"k\.json unreadable.*delete it"):
        store.load("k")


def test_a_disk_that_refuses_leaves_no_half_cell(
    tmp_path: Path, result: CellResult, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    store = CellStore(tmp_path)
    with pytest.raises(StorageError, match="No space left"):
        store.save("k", result)
    assert list(tmp_path.iterdir()) == []


def test_a_key_depends_on_every_part_but_not_on_their_order():
    key = cell_key(arm="scratch", budget=8, rows=[1, 2])
    assert key == cell_key(rows=[1, 2], budget=8, arm="scratch")
    assert key != cell_key(arm="scratch", budget=8, rows=[2, 1])
    assert key != cell_key(arm="scratch", budget="8", rows=[1, 2])
