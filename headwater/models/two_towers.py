"""Two stacks that read the two sides of a pair, and put both into one space. Shape letters: B pairs, T tokens or
patches, J joint width.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.settings import TransformerSettings
from headwater.models.tower_settings import TwoTowerSettings
from headwater.models.transformer import TransformerBackbone
from headwater.nn.pooling import PoolingKind, build_pooling
from headwater.nn.scale import LearnedScale
from headwater.sequence import Batch, SequenceLayout


class Tower(nn.Module):
    """``unit(W pool(stack(x)))``: one vector of length 1 for each row, (B, J).

    Source: Radford et al. 2021, figure 3, arXiv:2103.00020.
    """

    def __init__(self, settings: TransformerSettings, pooling: PoolingKind, joint_width: int) -> None:
        super().__init__()
        self.stack = TransformerBackbone(settings)
        self.pooling = build_pooling(pooling, settings.width)
        self.projection = nn.Linear(settings.width, joint_width, bias=False)

    def forward(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T) or (B, T, P) → (B, J)
        return self.unit(self.pooling(self.stack(inputs, layout), layout))

    def unit(self, pooled: Tensor) -> Tensor:
        """The vector of length 1 of pooled states: (B, C) → (B, J)."""
        return F.normalize(self.projection(pooled).float(), dim=-1)


class TwoTowers(Backbone):
    """A tower for each side of a pair, and the factor by which their cosines are multiplied.

    Where a backbone is asked for hidden states, it gives those of the first side.
    """

    def __init__(self, settings: TwoTowerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.first = Tower(settings.first, settings.first_pooling, settings.joint_width)
        self.second = Tower(settings.second, settings.second_pooling, settings.joint_width)
        self.scale = LearnedScale()
        self._mean = build_pooling("mean", settings.first.width)
        self.width, self.vocabulary_size = settings.first.width, settings.vocabulary_size
        self.reads = "both"
        self.longest_row = next((side.longest_row for side in settings.sides if side.patches is None), None)

    @property
    def token_embedding(self) -> nn.Embedding:
        """The table of the side that reads text; SettingsError where neither does."""
        for tower in (self.first, self.second):
            if tower.stack.settings.patches is None:
                return tower.stack.token_embedding
        raise SettingsError(
            "neither side of these pairs is text; choose a task that needs no table of tokens"
        )

    def embed(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:
        """The first side's vectors."""
        return self.first.stack.embed(inputs, layout)

    def encode(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:
        """The first side's states."""
        return self.first.stack.encode(embedded, layout)

    def both(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The vectors of both sides of each pair: (B, J) twice."""
        assert batch.targets is not None
        assert batch.target_layout is not None
        first = cast(Tensor, self.first(batch.inputs, batch.layout))
        return first, self.second(batch.targets, batch.target_layout)

    def features(self, batch: Batch) -> Tensor:
        """``[p; p̄; q; q̄; J · u ⊙ v]``, what one answer for both sides is read from: (B, F).

        p and q are the pooled states of each side, p̄ and q̄ the means of its states where these are something else, u
        and v its vectors of length 1: what each side says by itself, and where both agree.
        """
        assert batch.targets is not None
        assert batch.target_layout is not None
        said: list[Tensor] = []
        vectors: list[Tensor] = []
        for tower, pooling, inputs, layout in (
            (self.first, self.settings.first_pooling, batch.inputs, batch.layout),
            (self.second, self.settings.second_pooling, batch.targets, batch.target_layout),
        ):
            states = tower.stack(inputs, layout)
            pooled = tower.pooling(states, layout)
            said.append(pooled.float())
            if pooling != "mean":
                said.append(self._mean(states, layout).float())
            vectors.append(tower.unit(pooled))
        first, second = vectors
        return torch.cat((*said, first.shape[-1] * first * second), dim=-1)

    @property
    def features_width(self) -> int:
        """F, how many numbers that are."""
        settings = self.settings
        kinds = (settings.first_pooling, settings.second_pooling)
        widths = (
            side.width * (1 + (kind != "mean")) for side, kind in zip(settings.sides, kinds, strict=True)
        )
        return sum(widths) + settings.joint_width
