import torch

from headwater.nn.documents import DocumentsApart, holds_one_document_a_row, over_documents
from headwater.sequence import SequenceLayout

PACKED = SequenceLayout.packed([[3, 2], [4], []], 6)


def numbered() -> torch.Tensor:
    return torch.arange(1.0, 19.0).view(3, 6, 1)


def test_each_document_gets_a_row_of_its_own_in_order() -> None:
    apart = DocumentsApart.of(PACKED)
    assert apart.lengths.tolist() == [3, 2, 4]
    assert apart.take(numbered()).squeeze(-1).tolist() == [[1, 2, 3, 0], [4, 5, 0, 0], [7, 8, 9, 10]]
    assert apart.layout.positions.tolist() == [[0, 1, 2, 0], [0, 1, 0, 0], [0, 1, 2, 3]]


def test_what_is_taken_apart_is_put_back_where_it_was() -> None:
    apart = DocumentsApart.of(PACKED)
    back = apart.put_back(apart.take(numbered()), PACKED)
    assert torch.equal(back, numbered() * PACKED.real[..., None])


def test_shuffled_tokens_are_read_in_the_order_of_their_positions() -> None:
    layout = SequenceLayout(torch.tensor([[0, 0, 0]]), torch.tensor([[2, 0, 1]]))
    taken = DocumentsApart.of(layout).take(torch.tensor([[[30.0], [10.0], [20.0]]]))
    assert taken.squeeze(-1).tolist() == [[10, 20, 30]]


def test_gradients_flow_to_real_tokens_alone() -> None:
    states = numbered().requires_grad_()
    over_documents(lambda rows, layout: rows * 2, states, PACKED).sum().backward()
    assert states.grad is not None
    assert torch.equal(states.grad.squeeze(-1), PACKED.real * 2.0)


def test_packed_rows_are_told_from_padded_ones() -> None:
    assert holds_one_document_a_row(SequenceLayout.padded(torch.tensor([2, 1]), 3))
    assert not holds_one_document_a_row(PACKED)
