import pytest
import torch

from headwater.errors import SettingsError
from headwater.nn.pooling import POOLING_KINDS, AttentionPooling, PoolingKind, build_pooling
from headwater.sequence import SequenceLayout

STATES = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
LENGTHS = [5, 3, 1]
PADDED = SequenceLayout.padded(torch.tensor(LENGTHS), 5)


@pytest.mark.parametrize("kind", POOLING_KINDS)
def test_padding_changes_no_pooled_vector(kind: PoolingKind) -> None:
    pooling = build_pooling(kind, 8)
    alone = [
        pooling(STATES[row : row + 1, :length], SequenceLayout.dense(1, length))
        for row, length in enumerate(LENGTHS)
    ]
    torch.testing.assert_close(pooling(STATES, PADDED), torch.cat(alone))


@pytest.mark.parametrize("kind", POOLING_KINDS)
def test_a_row_without_tokens_gives_a_finite_vector_and_finite_gradients(kind: PoolingKind) -> None:
    states = STATES.clone().requires_grad_()
    pooled = build_pooling(kind, 8)(states, SequenceLayout.padded(torch.tensor([5, 0, 2]), 5))
    pooled.sum().backward()
    assert states.grad is not None
    assert pooled.isfinite().all()
    assert states.grad.isfinite().all()


def test_the_mean_is_the_mean() -> None:
    expected = torch.stack([STATES[row, :length].mean(0) for row, length in enumerate(LENGTHS)])
    torch.testing.assert_close(build_pooling("mean", 8)(STATES, PADDED), expected)


def test_first_last_and_max_are_what_they_say() -> None:
    for kind, expected in (("first", STATES[1, 0]), ("last", STATES[1, 2]), ("max", STATES[1, :3].amax(0))):
        pooled = build_pooling(kind, 8)(STATES, PADDED)  # pyright: ignore[reportArgumentType]
        torch.testing.assert_close(pooled[1], expected)


def test_attention_pooling_is_the_written_out_equation() -> None:
    pooling = AttentionPooling(8)
    rows = STATES[1, :3]
    scores = torch.tanh(rows @ pooling.dense.weight.T + pooling.dense.bias) @ pooling.score.weight[0]
    torch.testing.assert_close(pooling(STATES, PADDED)[1], scores.softmax(0) @ rows)


def test_left_padding_does_not_move_the_first_token() -> None:
    layout = SequenceLayout(torch.tensor([[-1, -1, 0, 0, 0]]), torch.tensor([[0, 0, 0, 1, 2]]))
    torch.testing.assert_close(build_pooling("first", 8)(STATES[:1], layout)[0], STATES[0, 2])


def test_an_unknown_pooling_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="mean, first, last, max, attention"):
        build_pooling("median", 8)  # pyright: ignore[reportArgumentType]
