import inspect

import pytest
import torch

from headwater.nn.attention import AttentionMask
from headwater.nn.attention.varlen import lay_end_to_end, window_size
from headwater.sequence import SequenceLayout


def test_documents_are_laid_end_to_end_without_padding():
    documents = lay_end_to_end(SequenceLayout.packed([[2, 3], [], [4]], 6))
    assert documents.tokens.tolist() == [0, 1, 2, 3, 4, 12, 13, 14, 15]
    assert documents.starts.tolist() == [0, 2, 5, 9]
    assert documents.longest == 4


def test_rows_of_one_document_each_stay_apart():
    documents = lay_end_to_end(SequenceLayout.dense(3, 4))
    assert documents.starts.tolist() == [0, 4, 8, 12]


def test_a_batch_of_padding_alone_has_no_documents():
    documents = lay_end_to_end(SequenceLayout.padded(torch.tensor([0, 0]), 3))
    assert documents.starts.tolist() == [0]
    assert documents.longest == 0


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (AttentionMask(), (-1, -1)),
        (AttentionMask(causal=True), (-1, 0)),
        (AttentionMask(window=65), (64, 64)),
        (AttentionMask(causal=True, window=1), (0, 0)),
    ],
)
def test_the_mask_in_the_words_of_flash_attention(mask: AttentionMask, expected: tuple[int, int]):
    assert window_size(mask) == expected


def test_the_installed_torch_knows_one_of_the_two_spellings():
    from torch.nn.attention.varlen import varlen_attn

    known = inspect.signature(varlen_attn).parameters
    assert "window_size" in known or "is_causal" in known
    assert list(known)[:7] == ["query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"]
