"""Layouts say where tokens belong and stand."""

import torch

from headwater.sequence import Batch, SequenceLayout


def test_a_padded_layout_marks_what_lies_behind_the_end() -> None:
    layout = SequenceLayout.padded(torch.tensor([3, 1]), 4)
    assert layout.real.tolist() == [[True, True, True, False], [True, False, False, False]]
    assert layout.positions.tolist() == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert layout.contiguous
    assert not layout.uniform


def test_a_packed_layout_counts_positions_anew_in_each_document() -> None:
    layout = SequenceLayout.packed([[2, 3]], 6)
    assert layout.documents.tolist() == [[0, 0, 1, 1, 1, -1]]
    assert layout.positions.tolist() == [[0, 1, 0, 1, 2, 0]]


def test_a_dense_layout_starts_where_it_is_told_and_promises_to_be_whole() -> None:
    layout = SequenceLayout.dense(2, 3, start=5)
    assert layout.positions.tolist() == [[5, 6, 7]] * 2
    assert layout.uniform
    assert layout.real.all()


def test_a_batch_moves_with_its_layout_and_keeps_its_items() -> None:
    batch = Batch(torch.zeros(1, 2), SequenceLayout.dense(1, 2), torch.tensor([9]), labels=torch.tensor([1]))
    moved = batch.to("meta")
    assert {moved.inputs.device.type, moved.layout.documents.device.type} == {"meta"}
    assert moved.labels is not None
    assert moved.labels.device.type == "meta"
    assert moved.items.tolist() == [9]
