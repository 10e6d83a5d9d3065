"""Next item: read what someone did so far, say what they do next.

Shape letters: B histories, C width.
"""

import torch
from torch import Tensor

from headwater.models.model import Model
from headwater.objectives.next_token import NextToken, NextTokenTask, successors
from headwater.objectives.objective import Task
from headwater.randomness import Draws
from headwater.sequence import Batch


class NextItem(NextToken):
    """Predict every item of a history from those before it, among all items; the first from [CLS] alone.

    That a history ends says only when its table was written: [SEP] is never asked for.
    Kang and McAuley 2018, arXiv:1808.09781; the softmax over all items in place of sampled ones: Klenitskiy and
    Vasilev 2023, arXiv:2309.07602.
    """

    def prepare(self, batch: Batch, draws: Draws) -> NextTokenTask:
        """Pair each token with the item that follows it."""
        places, targets = successors(batch.inputs, batch.layout)
        items = targets != self.tokenizer.sep
        places, targets = places[items], targets[items]
        return NextTokenTask(batch, {self.name: len(places)}, places, targets)

    def states(self, model: Model, batch: Batch) -> Tensor:
        """What the model has made of each whole history, for its head to say what follows: (B, C)."""
        last = batch.layout.real.sum(dim=1) - 2  # the token in front of [SEP]
        rows = torch.arange(len(last), device=last.device)
        return model.encode_places(batch, rows * batch.inputs.shape[1] + last)

    def text_bytes(self, task: Task) -> int:
        """Items are no text."""
        return 0
