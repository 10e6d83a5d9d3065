"""What a pretext task and a labelled task have in common: inputs in, loss terms out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from headwater.models.model import Model
from headwater.randomness import Draws
from headwater.sequence import Batch

Reads = Literal["both", "past", "source", "sides", "any"]
"""What a model must be: one that reads both sides, the past alone, a source while it writes a target, the two sides of
a pair, or any."""


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One unit of loss: summed here, divided once by the count of the whole step."""

    name: str
    total: Tensor
    count: int
    weight: float = 1.0
    right: Tensor | None = None  # how many units were answered right, where an answer can be right


class Guess(NamedTuple):
    """What a loss term costs, and how often it is right, for whoever has learnt nothing."""

    loss: float
    right: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A batch with its targets made; ``counts`` says for each loss term how many units it will sum."""

    batch: Batch
    counts: Mapping[str, int]

    @property
    def tokens(self) -> int:
        """How many tokens are read, padding left out; of a source and its target, or two sides, those of the first."""
        return int(self.batch.layout.real.sum())

    def to(self, device: torch.device) -> Self:
        """The same task with its tensors on ``device``."""
        moved = {
            field.name: value.to(device)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor | Batch)
        }
        return replace(self, **moved)


class Objective(nn.Module, ABC):
    """A rule that turns examples into inputs and targets, and the loss between answer and target.

    It owns the parameters that are thrown away after training; what is shipped lives in the model.
    """

    name: ClassVar[str]
    head: ClassVar[str | None] = None  # the head of the model that it trains and that is shipped
    own_head: ClassVar[str | None] = None  # a head that it owns, unless the model ships one of that name
    needs: ClassVar[Reads] = "any"

    @abstractmethod
    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Hide, corrupt or pair: random, without parameters or gradient; knows its counts."""

    @abstractmethod
    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The loss terms of a prepared task; deterministic but for dropout."""

    @property
    def loss_share(self) -> float:
        """The share of a batch's tokens whose word is predicted: what the output layer costs."""
        return 0.0

    @property
    def alone(self) -> bool:
        """Whether what is asked of an example depends on no other example of its batch."""
        return True

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """What guessing costs in a task, by loss term, where that is known without measuring it."""
        del task
        return {}

    def text_bytes(self, task: Task) -> int:
        """Bytes of text that a task predicts, where predicting its targets is predicting the text; else 0."""
        return 0

    def after_step(self, model: Model) -> None:
        """Called after each optimiser step; moving-average teachers follow the model here."""


class LabelledObjective(Objective):
    """An objective whose targets were given by people, one an example, and which therefore can answer."""

    @abstractmethod
    def scores(self, model: Model, batch: Batch) -> Tensor:
        """Probabilities or values, one row an example."""
