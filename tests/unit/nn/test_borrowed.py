import copy

import torch
from torch import nn

from headwater.nn.borrowed import Borrowed


def lender_and_borrower() -> nn.ModuleDict:
    table = nn.Embedding(5, 3)
    return nn.ModuleDict({"owner": table, "borrower": Borrowed(table)})


def test_what_is_borrowed_answers_as_its_owner_and_is_held_once() -> None:
    pair, tokens = lender_and_borrower(), torch.tensor([4, 0])
    assert torch.equal(pair["borrower"](tokens), pair["owner"](tokens))
    assert list(pair.state_dict()) == ["owner.weight"]
    assert len(list(pair.parameters())) == 1


def test_a_copy_borrows_from_the_copy() -> None:
    pair, tokens = lender_and_borrower(), torch.tensor([4, 0])
    other = copy.deepcopy(pair)
    with torch.no_grad():
        other["owner"].get_parameter("weight").zero_()
    assert other["borrower"](tokens).abs().max() == 0
    assert pair["borrower"](tokens).abs().max() > 0
