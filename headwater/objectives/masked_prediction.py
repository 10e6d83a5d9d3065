"""Masked tokens: hide some words, read the rest, say what was hidden.

Devlin et al. 2018, section 3.1, arXiv:1810.04805; whole words as in its 2019 revision and in Cui et al. 2019,
arXiv:1906.08101. Every hidden token becomes [MASK]: the 80/10/10 mixture of the paper buys nothing at these
shares (Wettig et al. 2022, arXiv:2202.08005). Shape letters: B batch, T tokens, N hidden positions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.objectives.cross_entropy import summed_cross_entropy
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


@dataclass(frozen=True, slots=True)
class MaskedTask(Task):
    """``places`` (N,) are the hidden positions in the flattened batch, ``targets`` (N,) what stood there."""

    places: Tensor
    targets: Tensor


class MaskedTokens(Objective):
    """Hide each word with probability ``share`` and predict its tokens from both sides.

    A word is what lies between two word beginnings (``word_starts`` says which tokens begin one); all its
    tokens are hidden together or not at all. Special tokens are never hidden.
    """

    name = "masked_tokens"
    needs = "both"

    def __init__(self, *, mask_token: int, word_starts: Tensor, special_tokens: int, share: float = 0.3) -> None:
        super().__init__()
        if not 0.0 < share < 1.0:
            raise SettingsError(f"objective.share = {share}: the share of hidden words must lie between 0 and 1")
        self.mask_token = mask_token
        self.special_tokens = special_tokens
        self.share = share
        self.register_buffer("word_starts", word_starts, persistent=False)

    def prepare(self, batch: Batch, draws: Draws) -> MaskedTask:
        """Choose the words to hide from the draws of each item, and put [MASK] in their place."""
        hidden = self._chosen(batch, draws)
        places = hidden.flatten().nonzero().squeeze(-1)
        targets = batch.inputs.flatten()[places]
        inputs = batch.inputs.masked_fill(hidden, self.mask_token)
        masked = Batch(inputs, batch.layout, batch.items, batch.epoch)
        return MaskedTask(masked, {self.name: len(places)}, places, targets)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(token | visible tokens) over the hidden positions, gathered before the output layer."""
        assert isinstance(task, MaskedTask)
        hidden_states = model.encode(task.batch)
        rows = hidden_states.flatten(0, 1)[task.places]
        head = model.heads[self.name]
        total = summed_cross_entropy(
            head, rows, task.targets, vocabulary_size=model.backbone.vocabulary_size
        )
        return (LossTerm(self.name, total, len(task.places)),)

    def _chosen(self, batch: Batch, draws: Draws) -> Tensor:  # (B, T), True where hidden
        layout = batch.layout
        numbers = torch.from_numpy(draws.uniform(self.name, int(layout.positions.max()) + 1))
        item_of_token = _item_numbers(layout.documents)
        drawn = numbers[item_of_token, layout.positions]  # one number a token, whatever the batch

        ordinary = layout.real & (batch.inputs >= self.special_tokens)
        begins = ~ordinary | self.word_starts[batch.inputs] | (layout.positions == 1)
        columns = torch.arange(drawn.shape[1]).expand_as(drawn)
        first = torch.where(begins, columns, 0).cummax(dim=1).values
        return ordinary & (drawn.gather(1, first) < self.share)


def _item_numbers(documents: Tensor) -> Tensor:
    """Which item of the batch each token belongs to: rows in order, documents in order inside a row."""
    if documents.shape[1] == 0 or int(documents.max()) <= 0:
        return torch.arange(len(documents))[:, None].expand_as(documents)
    per_row = documents.max(dim=1).values + 1
    before = torch.cumsum(per_row, dim=0) - per_row
    return (documents + before[:, None]).clamp_min(0)
