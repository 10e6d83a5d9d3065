"""Optimisers of torch without its compiler, which takes as long to load as torch itself.

torch.optim guards its methods against being compiled, and the guards belong to the compiler. Nothing here compiles an
optimiser.
"""

from inspect import unwrap
from typing import Any, TypeVar, cast

import torch

_GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


def without_compiler(kind: type[Kind]) -> type[Kind]:
    """The same optimiser with its own methods but without their guards; a step takes no gradient, as it does there."""
    methods: dict[str, Any] = {name: unwrap(getattr(kind, name)) for name in _GUARDED}
    methods["step"] = torch.no_grad()(unwrap(kind.step))
    return cast(type[Kind], type(kind.__name__, (kind,), methods))
