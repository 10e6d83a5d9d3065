"""What is decided before step 0, and what training changes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from headwater.models.model import Model
from headwater.objectives import Objective
from headwater.training.distributed import World
from headwater.training.schedules import Schedule


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is decided before step 0 and never changes while training."""

    steps: int
    seed: int
    schedule: Schedule
    micro_batches: int = 1  # over all ranks: the batch of a step is the same on 1 or 64 of them
    clip: float | None = 1.0
    precision: str = "fp32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    prefetch: int = 2
    world: World = field(default_factory=World)

    @property
    def own_numbers(self) -> range:
        """Which micro-batches of a step are this rank's; what is random about one depends on its number alone."""
        return range(self.world.rank, self.micro_batches, self.world.size)


@dataclass(frozen=True, slots=True)
class Learner:
    """What training changes: the model, what its objective throws away later, and the optimiser's state.

    ``thaw`` is called before every step with its number, where more is to learn as training goes on.
    """

    model: Model
    objective: Objective
    optimizer: torch.optim.Optimizer
    thaw: Callable[[int], None] | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Every parameter that takes part."""
        both = [*self.model.parameters(), *self.objective.parameters()]
        return [parameter for parameter in both if parameter.requires_grad]
