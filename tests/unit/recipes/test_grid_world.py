"""The small world of the recipe on decisions: its ways, and how walks are written."""

import numpy as np

from recipes.decision_sequences.grid_world import START, Walk, distances, logged, seeker


def test_a_seeker_that_never_errs_takes_a_shortest_way_but_for_slips() -> None:
    rng = np.random.default_rng(0)
    walk, decide = Walk(), seeker("B", rng, errs=0.0)
    while not walk.over:
        walk.step(decide(walk.cells[-1]), rng)
    assert walk.cells[-1].content == "B"
    assert len(walk.actions) >= distances("B")[START]


def test_walls_keep_the_walker_where_it_is() -> None:
    assert START.moved("left") == START
    assert START.moved("up") != START


def test_a_walk_is_written_with_the_return_that_is_still_to_come() -> None:
    walk = next(logged(1, np.random.default_rng(3)))
    total = sum(walk.rewards)
    words = walk.text(total).split()
    assert words[:3] == [f"r{round(total)}", START.name, walk.actions[0]]
    assert (
        len(words) == 3 * len(walk.actions) + 2
    )  # behind the last action: nothing to come, and the last cell
    assert walk.text(None).split()[1::2] == walk.actions
