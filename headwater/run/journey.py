"""What a run remembers besides tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from headwater.training.loop import StepRecord


@dataclass(slots=True)
class Journey:
    """How far a run is, its evaluations, and the best of them; saved in every checkpoint.

    ``seconds`` is the time of the steps that count, as this machine's clock saw it: the one number that differs
    between a run that was killed and one that was not.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluations: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    best: float | None = None
    best_step: int = 0
    shipped_step: int = 0
    """The step whose weights are in the model folder; 0 until the run is over."""

    def add(self, record: StepRecord) -> None:
        """Count a step."""
        self.step = record.step
        self.tokens += record.tokens
        self.seconds += record.seconds

    def note(self, numbers: Mapping[str, float]) -> bool:
        """Keep the evaluation of this step; True when its loss is the lowest so far."""
        self.evaluations.append({"step": self.step, **numbers})
        loss = numbers["loss"]
        if not math.isfinite(loss) or (self.best is not None and loss >= self.best):
            return False
        self.best, self.best_step = loss, self.step
        return True

    def judged_at(self, step: int) -> bool:
        """True when the weights after ``step`` were evaluated."""
        return any(numbers["step"] == step for numbers in self.evaluations)

    @property
    def evaluations_since_best(self) -> int:
        """How many evaluations in a row were not better than one before."""
        return sum(numbers["step"] > self.best_step for numbers in self.evaluations)

    @property
    def shipped_evaluation(self) -> dict[str, float] | None:
        """What was found of the weights that are shipped; None if they were never evaluated."""
        return next((found for found in self.evaluations if found["step"] == self.shipped_step), None)
