"""Next token: read the past, say what comes next.

Radford et al. 2018. Shape letters: B batch, T tokens, N places.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.models.model import Model
from headwater.objectives.cross_entropy import cross_entropies, summed_cross_entropy
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import PADDING, Batch, SequenceLayout


@dataclass(frozen=True, slots=True)
class NextTokenTask(Task):
    """``places`` (N,) are the positions that have a successor, in the flattened batch; ``targets`` (N,) are those."""

    places: Tensor
    targets: Tensor


class NextToken(Objective):
    """Predict every token of a document from those before it: all but the first, [SEP] at its end included."""

    name = "next_token"
    head = "next_token"
    needs = "past"

    def __init__(self, tokenizer: Tokenizer, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.tokenizer, self.label_smoothing = tokenizer, label_smoothing

    @property
    def loss_share(self) -> float:
        """All tokens."""
        return 1.0

    def prepare(self, batch: Batch, draws: Draws) -> NextTokenTask:
        """Pair each token with its successor in the same document."""
        places, targets = successors(batch.inputs, batch.layout)
        return NextTokenTask(batch, {self.name: len(places)}, places, targets)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(token | the tokens before it)."""
        assert isinstance(task, NextTokenTask)
        rows = model.encode_places(task.batch, task.places)
        total = summed_cross_entropy(
            model.heads[self.name],
            rows,
            task.targets,
            vocabulary_size=model.backbone.vocabulary_size,
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )
        return (LossTerm(self.name, total, len(task.places)),)

    @torch.no_grad()
    def nats(self, model: Model, batch: Batch) -> Tensor:
        """-ln p of each token but the first, (B, T − 1); 0 where the row has ended."""
        places, targets = successors(batch.inputs, batch.layout)
        rows = model.encode_places(batch, places)
        costs = cross_entropies(model.heads[self.name], rows, targets, model.backbone.vocabulary_size)
        found = costs.new_zeros(batch.inputs.numel())
        found[places] = costs
        return found.view_as(batch.inputs)[:, :-1]

    def text_bytes(self, task: Task) -> int:
        """The bytes of all predicted tokens; that a document ends says nothing and costs what it costs."""
        assert isinstance(task, NextTokenTask)
        return int(self.tokenizer.token_bytes[task.targets.cpu().numpy()].sum())


def successors(tokens: Tensor, layout: SequenceLayout) -> tuple[Tensor, Tensor]:
    """The places (N,) of the flattened rows that have a successor in their document, and the tokens that follow."""
    documents = layout.documents
    followed = torch.zeros_like(documents, dtype=torch.bool)
    followed[:, :-1] = (documents[:, :-1] == documents[:, 1:]) & (documents[:, :-1] != PADDING)
    places = followed.flatten().nonzero()[:, 0]
    return places, tokens.flatten()[places + 1]
