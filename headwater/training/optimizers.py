"""Optimisers by name, and the three rules that decide what each parameter gets: decay, depth, kind.

Decay: weight decay touches parameters of two or more dimensions, embeddings included (where the output layer
is tied to them they are its matrix); norms, biases and single vectors are left alone. Depth: with
``layer_decay`` r, a parameter at depth d of D learns at r^(D − d) times the peak rate; embeddings are depth
0, block n is n + 1, everything else (heads, last norm, the objective's own parameters) is D. Kind: Muon
takes the matrices inside blocks and leaves the rest to AdamW.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.nn.attention import MultiHeadAttention
from headwater.nn.feed_forward import GatedFeedForward
from headwater.training.muon import Muon
from headwater.training.without_compiler import without_compiler

NamedParameters = Iterable[tuple[str, nn.Parameter]]
Group = dict[str, Any]
Betas = tuple[float, float]

_BLOCK = re.compile(r"(?:^|\.)(?:\w*blocks|layers)\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)\w*embedding\w*\.")
_SGD_MOMENTUM = 0.9


def _adamw(groups: list[Group], rate: float, betas: Betas) -> torch.optim.Optimizer:
    return without_compiler(torch.optim.AdamW)(groups, lr=rate, betas=betas, fused=True)


def _adam_l2(groups: list[Group], rate: float, betas: Betas) -> torch.optim.Optimizer:
    return without_compiler(torch.optim.Adam)(groups, lr=rate, betas=betas, fused=True)


def _sgd(groups: list[Group], rate: float, _betas: Betas) -> torch.optim.Optimizer:
    return without_compiler(torch.optim.SGD)(groups, lr=rate, momentum=_SGD_MOMENTUM, fused=True)


def _muon(groups: list[Group], rate: float, betas: Betas) -> torch.optim.Optimizer:
    return without_compiler(Muon)(groups, learning_rate=rate, betas=betas)


def _adafactor(groups: list[Group], rate: float, _betas: Betas) -> torch.optim.Optimizer:
    return without_compiler(torch.optim.Adafactor)(groups, lr=rate)


OPTIMIZERS: dict[str, Callable[[list[Group], float, Betas], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "adam_l2": _adam_l2,
    "sgd": _sgd,
    "muon": _muon,
    "adafactor": _adafactor,
}


def build_optimizer(
    name: str,
    named_parameters: NamedParameters,
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    betas: Betas = (0.9, 0.98),
    layer_decay: float = 1.0,
    fused_rows: Mapping[str, Sequence[int]] | None = None,
) -> torch.optim.Optimizer:
    """The optimiser called ``name`` over the parameters that require a gradient, grouped by the rules above.

    adamw: θ ← (1 − ηλ)θ − η m̂ / (√v̂ + ε), decay decoupled from the gradient (Loshchilov and Hutter 2019,
    arXiv:1711.05101). adam_l2: the same without the first factor and with g + λθ for g: what "Adam with
    weight decay" often turns out to be. sgd has momentum 0.9 and its decay in the gradient as well; muon:
    see muon.py, ``fused_rows`` names the matrices that hold several projections and the rows of each;
    adafactor: Shazeer and Stern 2018, arXiv:1804.04235, decay decoupled, its rate relative to the size of
    each parameter.

    A parameter met under two names is taken once, under the first. Every group keeps its
    ``peak_learning_rate``. To unfreeze later, build with everything trainable and freeze afterwards: see
    ``freeze_below``.
    """
    if name not in OPTIMIZERS:
        raise SettingsError(f"optimizer {name!r} is unknown; choose one of {', '.join(OPTIMIZERS)}")
    _check_rates(learning_rate, weight_decay, layer_decay)
    trainable = _without_repeats((n, p) for n, p in named_parameters if p.requires_grad)
    if not trainable:
        raise SettingsError(
            "no parameter requires a gradient: everything is frozen; unfreeze something to train"
        )
    depth = depths([parameter_name for parameter_name, _ in trainable])
    groups: dict[_Treatment, Group] = {}
    for parameter_name, parameter in trainable:
        matrices = name == "muon" and _is_hidden_matrix(parameter_name, parameter)
        treatment = _Treatment(
            peak=learning_rate * layer_decay ** (max(depth.values()) - depth[parameter_name]),
            decay=weight_decay if parameter.ndim >= 2 else 0.0,
            matrices=matrices,
            row_splits=tuple((fused_rows or {}).get(parameter_name, ())) if matrices else (),
        )
        groups.setdefault(treatment, treatment.group())["params"].append(parameter)
    return OPTIMIZERS[name](list(groups.values()), learning_rate, betas)


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to ``factor`` times its peak learning rate; called before each step."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_learning_rate"] * factor


def depths(names: Iterable[str]) -> dict[str, int]:
    """The depth of each parameter: 0 for embeddings, n + 1 for block n, the largest for everything else.

    Several stacks of blocks (encoder and decoder, two towers) count side by side.
    """
    names = list(names)
    numbers = {name: int(found.group(1)) + 1 for name in names if (found := _BLOCK.search(name))}
    top = max(numbers.values(), default=0) + 1
    return {name: numbers.get(name, 0 if _EMBEDDING.search(name) else top) for name in names}


def fused_rows(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The matrices that hold several projections, and the rows of each: for ``build_optimizer``."""
    rows: dict[str, tuple[int, ...]] = {}
    for name, part in module.named_modules():
        if isinstance(part, MultiHeadAttention):
            rows[f"{name}.qkv.weight"] = part.split
        elif isinstance(part, GatedFeedForward):
            half = part.inner.out_features // 2
            rows[f"{name}.inner.weight"] = (half, half)
    return rows


def freeze_below(named_parameters: NamedParameters, depth: int) -> None:
    """Train only what stands at ``depth`` or higher; 0 trains everything, a large number only the heads.

    A frozen parameter also loses its gradient, so that an optimiser that knows it passes it by: gradual
    unfreezing (Howard and Ruder 2018, section 3.3, arXiv:1801.06146) lowers ``depth`` as training goes on.
    """
    known = list(named_parameters)
    where = depths([name for name, _ in known])
    limit = min(depth, max(where.values()))
    for name, parameter in known:
        parameter.requires_grad_(where[name] >= limit)
        if not parameter.requires_grad:
            parameter.grad = None


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, named_parameters: NamedParameters
) -> dict[str, Tensor]:
    """The optimiser's state as flat tensors called "parameter/state"; the rates belong to the settings."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in _without_repeats(named_parameters):
        for state, value in optimizer.state.get(parameter, {}).items():
            if value is not None:  # SGD writes None where it keeps nothing
                assert isinstance(value, Tensor), f"{state} of {name} is no tensor"
                tensors[f"{name}/{state}"] = value
    return tensors


def restore_optimizer(
    optimizer: torch.optim.Optimizer, named_parameters: NamedParameters, tensors: Mapping[str, Tensor]
) -> None:
    """Give the optimiser the state that ``optimizer_tensors`` took, bit by bit.

    Raises SettingsError if the state belongs to other parameters or shapes than the optimiser's.
    """
    parameters = dict(_without_repeats(named_parameters))
    in_groups = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    number = {id(parameter): index for index, parameter in enumerate(in_groups)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, entry = key.rpartition("/")
        index = number.get(id(parameters.get(name)))
        if index is None:
            raise SettingsError(
                f"the checkpoint has optimiser state for {name!r}, which is not trained here; "
                "resume with the settings that the run was started with"
            )
        state.setdefault(index, {})[entry] = tensor.detach().clone()
    # load_state_dict puts every tensor on its parameter's device, the step counters of fused kernels too.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


class _Treatment(NamedTuple):
    """What parameters of one group have in common."""

    peak: float
    decay: float
    matrices: bool
    row_splits: tuple[int, ...]

    def group(self) -> Group:
        group: Group = {
            "params": [],
            "lr": self.peak,
            "peak_learning_rate": self.peak,
            "weight_decay": self.decay,
        }
        return {**group, "matrices": True, "row_splits": self.row_splits} if self.matrices else group


def _without_repeats(named_parameters: NamedParameters) -> list[tuple[str, nn.Parameter]]:
    first: dict[int, tuple[str, nn.Parameter]] = {}
    for name, parameter in named_parameters:
        first.setdefault(id(parameter), (name, parameter))
    return list(first.values())


def _is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    # A table of position biases inside a block is two-dimensional too, but no linear map.
    return (
        parameter.ndim == 2 and bool(_BLOCK.search(name)) and name.endswith(".weight") and "bias" not in name
    )


def _check_rates(learning_rate: float, weight_decay: float, layer_decay: float) -> None:
    if not learning_rate > 0.0:
        raise SettingsError(f"learning_rate={learning_rate}; expected a number above 0")
    if not weight_decay >= 0.0:
        raise SettingsError(f"weight_decay={weight_decay}; expected 0 or more")
    if not 0.0 < layer_decay <= 1.0:
        raise SettingsError(
            f"layer_decay={layer_decay}; expected above 0, at most 1 (1 means the same rate everywhere)"
        )
