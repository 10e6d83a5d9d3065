"""Masked patches: hide most of a picture where it stands, read all places, paint what was hidden.

Xie et al. 2022 (SimMIM), arXiv:2111.09886. Shape letters: B pictures, N patches, S patches in sight, P numbers of a
patch, C width.
"""

import torch
from torch import Tensor, nn

from headwater.models.model import Model
from headwater.models.settings import TransformerSettings
from headwater.nn.initialization import initialize
from headwater.objectives.painting import Painting, PaintingTask, patches_of


class MaskedPatches(Painting):
    """A hidden patch is zeros and one learnt vector at its place; a linear map paints it from its hidden state.

    The encoder reads every place, so it costs as much as without hiding; what is thrown away is one vector and one
    map. The error is that of every painter (``Painting``); the paper's own is the absolute one of pixels.
    """

    name = "masked_patch"

    def __init__(self, settings: TransformerSettings, *, share: float = 0.6, seed: int = 0) -> None:
        super().__init__(settings, share)
        self.missing = nn.Embedding(1, settings.width)
        self.exit = nn.Linear(settings.width, patches_of(settings, self.name).features)
        initialize(self, seed=seed, name="objective")

    def painted(self, model: Model, task: PaintingTask) -> Tensor:
        """The hidden patches from the hidden states at their places: (B, N − S, P)."""
        backbone, batch = model.backbone, task.batch
        rows, length = batch.inputs.shape[:2]
        hidden = torch.zeros(rows, length, dtype=torch.bool, device=batch.inputs.device)
        hidden = hidden.scatter(1, task.hidden, True)[..., None]
        embedded = backbone.embed(batch.inputs.masked_fill(hidden, 0.0), batch.layout)
        embedded = embedded + hidden * self.missing.weight[0]
        places = (task.hidden + length * torch.arange(rows, device=hidden.device)[:, None]).flatten()
        states = backbone.encode_places(embedded, batch.layout, places)
        return self.exit(states).view(rows, task.hidden.shape[1], -1)
