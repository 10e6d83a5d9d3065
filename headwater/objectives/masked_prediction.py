"""Masked tokens: hide some words, read the rest, say what was hidden.

Devlin et al. 2018, section 3.1, arXiv:1810.04805; whole words as in its 2019 revision and in Cui et al. 2019,
arXiv:1906.08101. Most hidden words become [MASK]; a few of those asked for stay in sight, so that the vectors of
visible words are trained too: they are what a fine-tuned model reads. Shape letters: B batch, T tokens, N places.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.objectives.cross_entropy import summed_cross_entropy
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


@dataclass(frozen=True, slots=True)
class MaskedTask(Task):
    """``places`` (N,) are the positions asked for in the flattened batch, ``targets`` (N,) what stood there."""

    places: Tensor
    targets: Tensor


class MaskedTokens(Objective):
    """Ask for each word with probability ``share``, hide it, and predict its tokens from both sides.

    All tokens of a word are hidden together or not at all; which tokens make a word, in which script, is
    the tokenizer's to say (``Tokenizer.word_groups``). Special tokens are never hidden. While training, a share
    ``kept`` of the words asked for stays in sight; in evaluation mode all of them are hidden.
    """

    name = "masked_tokens"
    head = "masked_tokens"
    needs = "both"

    def __init__(self, tokenizer: Tokenizer, *, share: float = 0.3, kept: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= kept < 1.0:
            raise SettingsError(
                f"objective.kept = {kept}: the share of words asked for in plain sight must lie between 0 and below 1"
            )
        if not 0.0 < share < 1.0:
            raise SettingsError(
                f"objective.share = {share}: the share of hidden words must lie between 0 and 1"
            )
        self.tokenizer = tokenizer
        self.share, self.kept = share, kept

    @property
    def loss_share(self) -> float:
        """The share of words that are asked for."""
        return self.share

    def prepare(self, batch: Batch, draws: Draws) -> MaskedTask:
        """Choose the words to ask for from the draws of each item, and put [MASK] in the place of most of them."""
        tokens = batch.inputs.flatten().numpy()
        words = self.tokenizer.word_groups(tokens)  # special tokens part the rows and the documents
        ordinary = ~self.tokenizer.word_rules.special[tokens]
        asked = (_drawn(batch, draws, self.name, words) < self.share) & ordinary
        places = torch.from_numpy(np.flatnonzero(asked))
        hidden = asked
        if self.training and self.kept:
            hidden = asked & (_drawn(batch, draws, "words in sight", words) >= self.kept)
        targets = batch.inputs.flatten()[places]
        mask = torch.from_numpy(hidden).view_as(batch.inputs)
        masked = replace(batch, inputs=batch.inputs.masked_fill(mask, self.tokenizer.mask))
        return MaskedTask(masked, {self.name: len(places)}, places, targets)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(token | visible tokens); from the last block's attention on, only the places are computed."""
        assert isinstance(task, MaskedTask)
        rows = model.encode_places(task.batch, task.places)
        vocabulary_size = model.backbone.vocabulary_size
        head = model.heads[self.name]
        total = summed_cross_entropy(head, rows, task.targets, vocabulary_size=vocabulary_size)
        return (LossTerm(self.name, total, len(task.places)),)


def token_draws(batch: Batch, draws: Draws, purpose: str) -> NDArray[np.float64]:
    """(B · T,) one number in [0, 1) a token: a function of its item and its position, whatever the batch."""
    layout = batch.layout
    numbers = draws.uniform(purpose, int(layout.positions.max()) + 1)
    return numbers[_item_numbers(layout.documents), layout.positions].ravel()


def _drawn(
    batch: Batch, draws: Draws, purpose: str, words: NDArray[np.int64]
) -> NDArray[np.float64]:  # (B · T,), one number a word
    of_token = token_draws(batch, draws, purpose)
    return of_token[np.flatnonzero(np.diff(words, prepend=-1))][words]


def _item_numbers(documents: Tensor) -> NDArray[np.int64]:
    """Which item of the batch each token belongs to: rows in order, documents in order inside a row."""
    per_row = documents.max(dim=1).values + 1
    before = torch.cumsum(per_row, dim=0) - per_row
    return (documents + before[:, None]).clamp_min(0).numpy()
