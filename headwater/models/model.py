"""A model: one backbone and the heads that are shipped with it."""

from collections.abc import Mapping

from torch import Tensor, nn

from headwater.models.backbone import Backbone
from headwater.models.building import build_backbone
from headwater.models.heads import HeadSettings, build_head
from headwater.models.settings import BackboneSettings
from headwater.nn.initialization import initialize
from headwater.sequence import Batch


class Model(nn.Module):
    """A backbone and its heads by name ("masked_tokens", "next_token", "classification", "tagging").

    What training throws away (a teacher, a decoder, a projection) is not here: the objective owns it.
    """

    def __init__(self, backbone: Backbone, heads: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict(dict(heads or {}))

    def encode(self, batch: Batch) -> Tensor:
        """Hidden states of a batch: (B, T, C)."""
        return self.backbone(batch.inputs, batch.layout)

    def add_head(self, settings: HeadSettings, *, seed: int) -> None:
        """Give the model a new head whose first weights depend on ``seed`` and its name alone."""
        head = build_head(self.backbone, settings)
        initialize(head, seed=seed, name=f"heads.{settings.name}")
        self.heads[settings.name] = head

    def replace_heads(self, settings: HeadSettings, *, seed: int) -> None:
        """Take the old heads off and put a new one on: what fine-tuning begins with."""
        self.heads = nn.ModuleDict()
        self.add_head(settings, seed=seed)


def build_model(settings: BackboneSettings, *, head: HeadSettings | None = None, seed: int) -> Model:
    """A fresh model with at most one head, all its first weights a function of ``seed``."""
    model = Model(build_backbone(settings, seed=seed))
    if head is not None:
        model.add_head(head, seed=seed)
    return model
