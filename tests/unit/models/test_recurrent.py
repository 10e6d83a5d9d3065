import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from headwater.models import RecurrentSettings, build_backbone
from headwater.models.recurrent import ReadStates, both_ways
from headwater.nn.attention import AttentionMask
from headwater.sequence import SequenceLayout


def test_an_lstm_is_the_written_out_equations() -> None:
    settings = RecurrentSettings(vocabulary_size=20, width=8, hidden_width=6, depth=1, bidirectional=False)
    backbone = build_backbone(settings, seed=0)
    weights = dict(backbone.named_parameters())
    tokens = torch.tensor([3, 1, 4, 1, 5])
    state = cell = torch.zeros(6)
    expected: list[torch.Tensor] = []
    for vector in weights["embedding.tokens.weight"][tokens]:
        gates = weights["recurrence.weight_ih_l0"] @ vector + weights["recurrence.bias_ih_l0"]
        gates = gates + weights["recurrence.weight_hh_l0"] @ state + weights["recurrence.bias_hh_l0"]
        enter, forget, new, leave = gates.chunk(4)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        state = leave.sigmoid() * cell.tanh()
        projected = weights["projection.weight"] @ state
        expected.append(torch.nn.functional.layer_norm(projected, (8,), weights["final_norm.weight"]))
    found = backbone(tokens[None], SequenceLayout.dense(1, 5))[0]
    torch.testing.assert_close(found, torch.stack(expected))


def test_the_backward_walk_begins_at_the_last_real_token() -> None:
    settings = RecurrentSettings(vocabulary_size=20, width=8, hidden_width=6, depth=1)
    backbone = build_backbone(settings, seed=0)
    tokens = torch.tensor([[7, 8, 9, 0, 0], [1, 2, 3, 4, 5]])
    layout = SequenceLayout.padded(torch.tensor([3, 5]), 5)
    other = tokens.clone()
    other[0, 3:] = 19  # what stands in the padding must not matter
    torch.testing.assert_close(backbone(tokens, layout), backbone(other, layout))


def test_whole_rows_give_what_packed_ones_do() -> None:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(5, 4, 2, batch_first=True, bidirectional=True)
    vectors, lengths = torch.randn(4, 9, 5, requires_grad=True), torch.tensor([3, 9, 1, 6])
    packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True)
    real = torch.arange(9)[None] < lengths[:, None]
    found = both_ways(lstm, vectors, lengths)[real]
    torch.testing.assert_close(found, expected[real])
    asked = [vectors, *lstm.parameters()]
    for mine, theirs in zip(
        torch.autograd.grad(found.square().sum(), asked),
        torch.autograd.grad(expected[real].square().sum(), asked),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_states_read_with_weights_that_sum_to_one() -> None:
    read = ReadStates(6, AttentionMask(causal=True))
    layout = SequenceLayout.dense(1, 4)
    same = torch.ones(1, 4, 6) * torch.arange(6.0)
    torch.testing.assert_close(read(same, layout), torch.cat((same, same), dim=-1))
