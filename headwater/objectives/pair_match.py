"""Pair match: do these two belong together?

Arandjelović and Zisserman 2017 ("Look, listen and learn"), section 2.1, arXiv:1705.08168. Shape letters: B pairs, J
joint width.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.pair_objective import PairObjective, towers_of
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout


@dataclass(frozen=True, slots=True)
class MatchTask(Task):
    """Pairs of which some have the second side of another one."""

    together: Tensor  # (B,)


class MatchHead(nn.Module):
    """``w₂ · gelu(W₁ [u · v; |u − v|])``, u and v the vectors of both sides, of mean square 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * width, width)
        self.classifier = nn.Linear(width, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:  # (B, J) twice → (B,)
        first, second = (side * side.shape[-1] ** 0.5 for side in (first, second))
        seen = torch.cat((first * second, (first - second).abs()), dim=-1)
        return self.classifier(F.gelu(self.dense(seen))).squeeze(-1)


class PairMatch(PairObjective):
    """The cross-entropy of "they belong together"; half of the pairs of a batch trade their second sides in a ring.

    A pair that would trade with one of which it shares a side keeps its own. Guessing costs ln 2.
    """

    name = "pair_match"

    def __init__(self, width: int, *, seed: int = 0) -> None:
        super().__init__()
        self.match = MatchHead(width)
        initialize(self.match, seed=seed, name="objective.match")

    @property
    def alone(self) -> bool:
        """What does not belong together comes from the same batch."""
        return False

    def prepare(self, batch: Batch, draws: Draws) -> MatchTask:
        """Draw who trades with whom."""
        assert batch.labels is not None
        assert batch.targets is not None
        assert batch.target_layout is not None
        order = torch.from_numpy(draws.uniform("trades", 1)[:, 0]).argsort()
        ring = order[: max(2, len(order) // 2)]  # one alone would trade with itself
        source = torch.arange(len(order))
        source[ring] = ring.roll(1)
        first, second = batch.labels.T
        together = (first == first[source]) | (second == second[source])
        layout = batch.target_layout
        traded = SequenceLayout(
            layout.documents[source], layout.positions[source], layout.uniform, layout.contiguous
        )
        changed = replace(batch, targets=batch.targets[source], target_layout=traded)
        return MatchTask(changed, {self.name: len(order)}, together=together)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The cross-entropy of every pair, summed."""
        assert isinstance(task, MatchTask)
        answers = self.match(*towers_of(model).both(task.batch)).float()
        targets = task.together.float()
        total = F.binary_cross_entropy_with_logits(answers, targets, reduction="sum")
        return (LossTerm(self.name, total, len(targets), right=((answers > 0) == task.together).sum()),)
