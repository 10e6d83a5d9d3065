"""Objectives that compare the examples of a step with each other. Shape letters: B examples, J width, K marks."""

from abc import abstractmethod

import torch
from torch import Tensor

from headwater.models.model import Model
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.sequence import Batch


class CoupledObjective(Objective):
    """A loss of two vectors an example that asks which two belong together.

    It is no sum over parts of a step: vectors may be made in parts and on several ranks, and are compared all at once.
    """

    @property
    def alone(self) -> bool:
        """The others of a batch are what an example is told from."""
        return False

    @abstractmethod
    def vectors(self, model: Model, task: Task) -> Tensor:
        """The two vectors of every example, (B, 2, J)."""

    @abstractmethod
    def compare(self, model: Model, vectors: Tensor, marks: Tensor) -> LossTerm:
        """The loss of all vectors (B, 2, J); two examples that share a mark in ``marks`` (B, K) are no negatives."""

    @abstractmethod
    def marks(self, batch: Batch) -> Tensor:
        """Numbers (B, K) by which examples that have something in common are told."""

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The loss of one batch alone."""
        return (self.compare(model, self.vectors(model, task), self.marks(task.batch)),)


def sharing(marks: Tensor) -> Tensor:
    """True where two different examples have a mark of ``marks`` (B, K) in common: (B, B)."""
    same = (marks[:, None] == marks[None]).any(dim=-1)
    return same & ~torch.eye(len(marks), dtype=torch.bool, device=marks.device)
