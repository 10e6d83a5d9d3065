import torch

from headwater.nn.attention import AdditiveAttention, AttentionMask
from headwater.sequence import SequenceLayout


def make() -> tuple[AdditiveAttention, torch.Tensor, torch.Tensor, SequenceLayout]:
    torch.manual_seed(0)
    keys_layout = SequenceLayout.padded(torch.tensor([5, 3]), 5)
    return AdditiveAttention(4, 6, 8), torch.randn(2, 2, 4), torch.randn(2, 5, 6), keys_layout


def test_the_weights_equal_the_equation_written_for_one_query_and_one_key():
    layer, query, key, key_layout = make()
    weights = layer(query, key, SequenceLayout.dense(2, 2), key_layout).weights
    with torch.no_grad():
        scores = torch.tensor(
            [
                float(
                    layer.score.weight[0]
                    @ torch.tanh(
                        layer.query.weight @ query[1, 0] + layer.key.weight @ key[1, s] + layer.key.bias
                    )
                )
                for s in range(3)
            ]
        )
    torch.testing.assert_close(weights[1, 0], torch.cat((scores.softmax(0), torch.zeros(2))))


def test_the_values_are_the_keys_weighed():
    layer, query, key, key_layout = make()
    values, weights = layer(query, key, SequenceLayout.dense(2, 2), key_layout)
    torch.testing.assert_close(values, torch.einsum("bts,bsc->btc", weights, key))


def test_padding_never_changes_what_is_read_and_an_empty_row_reads_zero():
    layer, query, key, _ = make()
    layout, queries = SequenceLayout.padded(torch.tensor([3, 0]), 5), SequenceLayout.dense(2, 2)
    changed = key.clone()
    changed[:, 3:] = 100.0
    before, after = (layer(query, keys, queries, layout).values for keys in (key, changed))
    assert torch.equal(before[0], after[0])
    assert after[1].abs().max() == 0


def test_a_row_of_padding_has_finite_gradients():
    layer, query, key, _ = make()
    layout = SequenceLayout.padded(torch.tensor([3, 0]), 5)
    layer(query, key, SequenceLayout.dense(2, 2), layout).values.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_a_mask_hides_the_future():
    layer, query, key, _ = make()
    layout = SequenceLayout.dense(2, 5)
    queries = SequenceLayout.dense(2, 2, start=1)
    weights = layer(query, key, queries, layout, mask=AttentionMask(causal=True)).weights
    assert (weights > 0).sum(-1).tolist() == [[2, 3]] * 2
