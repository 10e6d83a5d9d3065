"""Masked patches: hide most of a picture where it stands, read all places, paint what was hidden.

Xie et al. 2022 (SimMIM), arXiv:2111.09886. Shape letters: B pictures, N patches, S patches in sight, P numbers of a
patch, C width.
"""

from torch import Tensor, nn

from headwater.models.model import Model
from headwater.models.settings import TransformerSettings
from headwater.nn.initialization import initialize
from headwater.objectives.hiding_patches import HidingTask, hidden_states
from headwater.objectives.painting import Painting, patches_of


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

    def painted(self, model: Model, task: HidingTask) -> Tensor:
        """The hidden patches from the hidden states at their places: (B, N − S, P)."""
        return self.exit(hidden_states(model, task, self.missing)).view(*task.hidden.shape, -1)
