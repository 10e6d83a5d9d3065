import pytest
import torch
from torch import Tensor, nn

from headwater.training.muon import Muon, orthogonalized
from headwater.training.optimizers import build_optimizer


def _matrices(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(3, 8, 20), (3, 20, 8), (2, 16, 16)])
def test_the_update_has_the_singular_vectors_of_the_matrix_and_singular_values_near_one(
    shape: tuple[int, int, int],
) -> None:
    matrices = _matrices(*shape)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    rotated = left.mT @ orthogonalized(matrices) @ right.mT
    values = rotated.diagonal(dim1=-2, dim2=-1)
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3
    torch.testing.assert_close(rotated, torch.diag_embed(values), atol=2e-4, rtol=0)


def _one_step(optimizer: torch.optim.Optimizer, weight: nn.Parameter, steps: int = 3) -> Tensor:
    for step in range(steps):
        weight.grad = _matrices(*weight.shape) * (step + 1)
        optimizer.step()
    return weight.detach()


def test_it_agrees_with_torch_up_to_the_rounding_of_bf16() -> None:
    ours, theirs = (nn.Parameter(_matrices(12, 6)) for _ in range(2))
    group = {"params": [ours], "lr": 0.1, "weight_decay": 0.2, "matrices": True, "row_splits": ()}
    torch_muon = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.2, adjust_lr_fn="match_rms_adamw")
    left = _one_step(Muon([group], learning_rate=0.1), ours)
    torch.testing.assert_close(left, _one_step(torch_muon, theirs), atol=5e-3, rtol=0)


def test_a_fused_matrix_moves_as_its_projections_would_apart() -> None:
    fused = nn.Parameter(_matrices(12, 6))
    apart = [nn.Parameter(rows.clone()) for rows in fused.detach().split((6, 3, 3))]
    gradient = _matrices(12, 6) * 2
    one = build_optimizer(
        "muon",
        [("blocks.0.qkv.weight", fused)],
        learning_rate=0.1,
        fused_rows={"blocks.0.qkv.weight": (6, 3, 3)},
    )
    many = build_optimizer(
        "muon", [(f"blocks.0.{n}.weight", p) for n, p in enumerate(apart)], learning_rate=0.1
    )
    fused.grad = gradient
    for weight, rows in zip(apart, gradient.split((6, 3, 3)), strict=True):
        weight.grad = rows.clone()
    one.step()
    many.step()
    torch.testing.assert_close(fused.detach(), torch.cat([weight.detach() for weight in apart]))


def test_embeddings_heads_and_vectors_go_to_adamw() -> None:
    def parameters() -> list[tuple[str, nn.Parameter]]:
        names = ["embedding.weight", "blocks.0.norm.weight", "heads.classification.weight"]
        shapes = [(5, 4), (4,), (2, 4)]
        return [(name, nn.Parameter(_matrices(*shape))) for name, shape in zip(names, shapes, strict=True)]

    results: list[list[Tensor]] = []
    for name in ("muon", "adamw"):
        named = parameters()
        optimizer = build_optimizer(name, named, learning_rate=0.01, weight_decay=0.1)
        for _, parameter in named:
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        results.append([parameter.detach() for _, parameter in named])
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


def test_a_matrix_without_a_gradient_stays_where_it_is() -> None:
    weight = nn.Parameter(_matrices(4, 4))
    before = weight.detach().clone()
    build_optimizer("muon", [("blocks.0.weight", weight)], learning_rate=0.1, weight_decay=0.5).step()
    assert torch.equal(weight.detach(), before)
