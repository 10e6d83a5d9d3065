from dataclasses import replace

import torch

from headwater.nn.shared_layout import derive, share
from headwater.sequence import SequenceLayout


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def test_a_shared_layout_computes_each_recipe_once():
    layout, compute = share(SequenceLayout.dense(1, 3)), Counter()
    assert [derive(layout, "mask", compute) for _ in range(3)] == [1, 1, 1]
    assert derive(layout, "angles", compute) == 2


def test_a_plain_layout_remembers_nothing():
    layout, compute = SequenceLayout.dense(1, 3), Counter()
    assert [derive(layout, "mask", compute) for _ in range(2)] == [1, 2]


def test_the_same_recipe_with_another_partner_is_computed_again():
    layout, compute = share(SequenceLayout.dense(1, 3)), Counter()
    for partner in (SequenceLayout.dense(1, 4), SequenceLayout.dense(1, 5)):
        derive(layout, "mask", compute, partner=partner)
    assert compute.calls == 2


def test_partners_that_are_gone_are_never_mistaken_for_new_ones():
    layout, compute = share(SequenceLayout.dense(1, 3)), Counter()
    found = [
        derive(layout, "mask", compute, partner=object()) for _ in range(50)
    ]  # freed ids would come back
    assert found == list(range(1, 51))


def test_changed_tensors_start_a_new_memory():
    layout, compute = share(SequenceLayout.dense(1, 3)), Counter()
    derive(layout, "mask", compute)
    changed = replace(layout, documents=torch.zeros(1, 3))
    assert derive(changed, "mask", compute) == 2


def test_sharing_twice_is_sharing_once_and_keeps_every_promise():
    layout = SequenceLayout.dense(2, 3)
    shared = share(layout)
    assert share(shared) is shared
    assert (shared.uniform, shared.contiguous) == (True, True)
    assert shared.documents is layout.documents
