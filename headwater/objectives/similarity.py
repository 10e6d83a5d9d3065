"""Similarity: the cosine of two texts' vectors is to be as great as people say that the texts are alike.

Reimers and Gurevych 2019, section 3 (regression objective), arXiv:1908.10084.
"""

from headwater.models.model import Model
from headwater.nn.pooling import MeanPooling
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.objectives.paired_texts import PairedTask, both_vectors
from headwater.randomness import Draws
from headwater.sequence import Batch


class Similarity(Objective):
    """Σ (cos(first, second) − (y − low) / (high − low))²; no head: the vectors are those that ``embed`` gives."""

    name = "similarity"
    needs = "both"

    def __init__(self, *, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.pooling = MeanPooling()

    def prepare(self, batch: Batch, draws: Draws) -> PairedTask:
        """Nothing to hide: the numbers are the targets."""
        return PairedTask(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The squared errors of the pairs, summed."""
        batch = task.batch
        assert batch.labels is not None
        first, second = both_vectors(model, batch, self.pooling)
        targets = (batch.labels.float() - self.low) / (self.high - self.low)
        errors = (first * second).float().sum(dim=-1) - targets
        return (LossTerm(self.name, errors.square().sum(), len(targets)),)
