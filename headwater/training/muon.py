"""Muon: matrices inside blocks move by their orthogonalised momentum, everything else by AdamW.

Why not ``torch.optim.Muon``: it multiplies in bf16 on every device, which a CPU without bf16 instructions
does forty to a hundred times slower than fp32, it takes one matrix at a time, and it would orthogonalise
query, key and value together where they are one fused matrix. Tests compare the two.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from headwater.training.without_compiler import without_compiler

# The odd quintic aX + b(XXᵀ)X + c(XXᵀ)²X that pulls singular values towards 1 fastest, not exactly to 1.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MOMENTUM = 0.95


def orthogonalized(matrices: Tensor) -> Tensor:
    """U Vᵀ of each matrix U S Vᵀ, roughly: singular values end between about 0.7 and 1.2.

    Five Newton–Schulz iterations on matrices (N, R, C), in fp32 on CPU and bf16 on CUDA.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers", kellerjordan.github.io/posts/muon.
    """
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.to(torch.bfloat16 if matrices.is_cuda else torch.float32)
    x = x.mT if tall else x  # the smaller side first: XXᵀ is then the smaller product
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """One optimiser to the outside, state and all.

    Groups with ``matrices`` True, per projection W of R rows and C columns: M ← μM + (1 − μ)G;  W ← (1 −
    ηλ)W − 0.2 η √max(R, C) · orthogonalized(μM + (1 − μ)G), μ = 0.95. The factor gives the update the size
    that AdamW's usually has, so one learning rate η serves both. ``row_splits`` of a group are the rows of
    each projection of a fused matrix; () where it is one projection.

    Source: Liu et al. 2025, section 2.2, arXiv:2502.16982.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, learning_rate: float, betas: tuple[float, float] = (0.9, 0.98)
    ) -> None:
        super().__init__(
            groups, {"lr": learning_rate, "weight_decay": 0.0, "matrices": False, "row_splits": ()}
        )
        self._rest = without_compiler(torch.optim.AdamW)(
            [{"params": []}], lr=learning_rate, betas=betas, fused=True
        )
        for group in self._other_groups():
            for setting, value in self._rest.defaults.items():
                group.setdefault(setting, value)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of everything that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["matrices"]:
                self._step_matrices(group)
        # Bound anew every time: load_state_dict replaces both objects.
        self._rest.param_groups, self._rest.state = self._other_groups(), self.state
        self._rest.step()
        return loss

    def _other_groups(self) -> list[dict[str, Any]]:
        return [group for group in self.param_groups if not group["matrices"]]

    def _step_matrices(self, group: dict[str, Any]) -> None:
        alike: defaultdict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            update = self._momentum(parameter)
            parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
            splits = list(group["row_splits"]) or [parameter.shape[0]]
            for rows, change in zip(parameter.split(splits), update.split(splits), strict=True):
                alike[rows.shape].append((rows, change))
        for shape, pairs in alike.items():
            changes = orthogonalized(torch.stack([change for _, change in pairs]))
            for (rows, _), change in zip(pairs, changes, strict=True):
                rows.add_(change, alpha=-0.2 * group["lr"] * max(shape) ** 0.5)

    def _momentum(self, parameter: Tensor) -> Tensor:
        """Nesterov's look ahead: the gradient blended with the running mean that already holds it."""
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        state["momentum_buffer"].lerp_(gradient, 1.0 - _MOMENTUM)
        return gradient.lerp(state["momentum_buffer"], _MOMENTUM)
