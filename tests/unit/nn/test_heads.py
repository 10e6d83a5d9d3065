import copy

import torch
import torch.nn.functional as F
from torch import nn

from headwater.nn.heads import (
    HeadTransform,
    LateSequenceHead,
    SequenceHead,
    TaggingHead,
    TiedDecoder,
    TokenHead,
)
from headwater.nn.norm import build_norm
from headwater.nn.pooling import MeanPooling
from headwater.sequence import SequenceLayout


class Owner(nn.Module):
    """A table and the head tied to it, as a model holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 8)
        transform = HeadTransform(8, build_norm("layer_without_bias", 8, 1e-5))
        self.head = TokenHead(TiedDecoder(self.table), transform)


def test_a_token_head_is_the_written_out_equation() -> None:
    owner, states = Owner(), torch.randn(5, 8)
    weights = dict(owner.named_parameters())
    bias, dense = weights["head.decoder.bias"], weights["head.transform.dense.weight"]
    nn.init.normal_(bias)
    hidden = F.layer_norm(F.gelu(states @ dense.T), (8,))
    expected = hidden @ owner.table.weight.T + bias
    torch.testing.assert_close(owner.head(states), expected)


def test_a_tied_matrix_is_stored_once() -> None:
    names = set(Owner().state_dict())
    assert names == {
        "table.weight",
        "head.transform.dense.weight",
        "head.transform.norm.weight",
        "head.decoder.bias",
    }


def test_both_uses_of_a_tied_matrix_send_it_gradients() -> None:
    owner = Owner()
    owner.head(owner.table(torch.tensor([3]))).logsumexp(-1).sum().backward()
    assert owner.table.weight.grad is not None
    assert (
        owner.table.weight.grad.abs().sum(-1) > 0
    ).all()  # every row is an output word; row 3 was read as well


def test_a_deep_copy_is_tied_to_its_own_table() -> None:
    original = Owner()
    twin = copy.deepcopy(original)
    nn.init.zeros_(twin.table.weight)
    assert torch.equal(twin.head.decoder.weight, twin.table.weight)
    assert not torch.equal(original.head.decoder.weight, twin.table.weight)


def test_loading_a_state_reaches_the_tied_head() -> None:
    source, target = Owner(), Owner()
    target.load_state_dict(source.state_dict())
    states = torch.randn(2, 8)
    assert torch.equal(target.head(states), source.head(states))


def test_a_sequence_head_gives_a_packed_row_one_answer_a_document() -> None:
    head = SequenceHead(8, 3, MeanPooling(), HeadTransform(8, nn.Identity()))
    states = torch.randn(2, 6, 8)
    found = head(states, SequenceLayout.packed([[4, 2], [5]], 6))
    alone = [
        head(part[None], SequenceLayout.dense(1, len(part)))
        for part in (states[0, :4], states[0, 4:], states[1, :5])
    ]
    torch.testing.assert_close(found, torch.cat(alone))


def test_late_pooling_is_the_mean_of_every_tokens_answer() -> None:
    head = LateSequenceHead(8, 3, MeanPooling(), HeadTransform(8, nn.Identity(), bias=True))
    states, layout = torch.randn(1, 6, 8), SequenceLayout.dense(1, 6)
    answers = head.classifier(head.transform(states))
    torch.testing.assert_close(head(states, layout), answers.mean(1))


def test_a_tagging_head_answers_for_each_token_alone() -> None:
    head = TaggingHead(8, 4)
    states = torch.randn(2, 6, 8)
    torch.testing.assert_close(head(states)[1, 3], head(states[1, 3]))
