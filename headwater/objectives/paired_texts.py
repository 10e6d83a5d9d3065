"""Two texts an example, each read for itself by the same backbone, compared by their vectors.

Shape letters: B pairs, T tokens, C width.
"""

import torch.nn.functional as F
from torch import Tensor

from headwater.models.model import Model
from headwater.nn.pooling import MeanPooling
from headwater.objectives.objective import Task
from headwater.sequence import Batch


class PairedTask(Task):
    """First texts in ``inputs``, second ones in ``targets``, both of which are read."""

    @property
    def tokens(self) -> int:
        """Those of both sides."""
        layouts = (self.batch.layout, self.batch.target_layout)
        return sum(int(layout.real.sum()) for layout in layouts if layout is not None)


def both_vectors(model: Model, batch: Batch, pooling: MeanPooling) -> tuple[Tensor, Tensor]:
    """The mean of each text's last hidden states, of length 1: (B, C) of the first texts, (B, C) of the second."""
    assert batch.targets is not None
    assert batch.target_layout is not None
    second = Batch(batch.targets, batch.target_layout, batch.items)
    first, second = (
        F.normalize(pooling(model.encode(side), side.layout), dim=-1) for side in (batch, second)
    )
    return first, second
