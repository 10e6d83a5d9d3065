"""Extractive question answering: where in a text the answer to a question begins and where it ends.

Shape letters: B windows, T tokens.
"""

from typing import ClassVar

import torch
from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.models.model import Model
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


class QuestionAnswering(Objective):
    """Cross-entropy of the token at which the answer begins and of the one at which it ends, the mean of both.

    ½ (−log p_start(s) − log p_end(e)), each a softmax over the tokens of the context and [CLS], at which a window
    points that does not hold the answer. The question is no part of the softmax: no answer stands in it, and a model
    need not spend itself on learning that. A decoder has read nothing at [CLS], so it scores "nothing" alike in every
    window, and its other tokens must make the difference.

    Source: Devlin et al. 2019, sections 4.2 and 4.3, arXiv:1810.04805, where the softmax is over all tokens.
    """

    name = "question_answering"
    metrics: ClassVar[tuple[str, ...]] = ("f1", "exact_match")

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.separator = tokenizer.sep

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: the borders of the answers are the targets."""
        return Task(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Summed over the windows; right is a window whose two tokens are both found."""
        borders = task.batch.labels
        assert borders is not None
        scores = self.scores(model, task.batch)
        right = (scores.detach().argmax(dim=1) == borders).all(dim=1).sum()
        return (LossTerm(self.name, window_losses(scores, borders).sum(), len(borders), right=right),)

    def scores(self, model: Model, batch: Batch) -> Tensor:
        """log p_start and log p_end of every token, −∞ where no answer may be: (B, T, 2)."""
        logits = model.heads[self.name](model.encode(batch)).float()
        possible = self._possible(batch)
        return logits.masked_fill(~possible[..., None], -torch.inf).log_softmax(dim=1)

    def _possible(self, batch: Batch) -> Tensor:
        """The tokens between the two [SEP], and [CLS]: (B, T)."""
        separators = batch.inputs == self.separator
        possible = (separators.cumsum(dim=1) == 1) & ~separators
        possible[:, 0] = True
        return possible


def window_losses(scores: Tensor, borders: Tensor) -> Tensor:
    """The loss of each window: scores (B, T, 2), borders (B, 2) → (B,)."""
    return -scores.gather(1, borders[:, None]).squeeze(1).mean(dim=1)


def best_spans(scores: Tensor, most: int) -> Tensor:
    """The likeliest answer of each window, at most ``most`` tokens: (B, T, 2) → (B, 4).

    Columns: its first token, its last token, log p_start + log p_end of these, and of [CLS] twice, which says that the
    answer is not here. Token numbers are exact in float32.
    """
    starts, ends = scores[:, 1:].unbind(dim=-1)
    nothing = scores[:, 0].sum(dim=-1)
    best = torch.full_like(nothing, -torch.inf)
    first, last = torch.zeros_like(nothing), torch.zeros_like(nothing)
    for more in range(min(most, starts.shape[1])):
        score, place = (starts[:, : starts.shape[1] - more] + ends[:, more:]).max(dim=1)
        better = score > best
        best = torch.where(better, score, best)
        first = torch.where(better, (place + 1).to(best.dtype), first)
        last = torch.where(better, (place + 1 + more).to(best.dtype), last)
    return torch.stack([first, last, best, nothing], dim=1)
