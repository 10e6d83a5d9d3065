"""From token numbers, or from patches, to vectors.

Shape letters: B batch, T tokens, E width of the table, C width, V vocabulary, P numbers of a patch.
"""

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from headwater.nn.positions import LearnedPositions
from headwater.sequence import SequenceLayout

Table = TypeVar("Table", bound=nn.Module)


class TokenEmbedding(nn.Module, Generic[Table]):
    """``projection(dropout(norm(scale · E[token] + P(position))))``; each part but E may be absent.

    ``tokens`` is the table, (V, E); a second stack may borrow that of the first. ``positions`` maps a layout to
    vectors (B, T, E); rotary positions and score biases act inside attention and need none. ``scale`` is √C in the
    paper, 1 elsewhere. A table of another width than the model's is followed by ``projection``, a linear map from
    E to C.

    Source: Vaswani et al. 2017, sections 3.4 and 3.5, arXiv:1706.03762; the map: Lan et al. 2019, section 3.1,
    arXiv:1909.11942, with ELECTRA's order and bias.
    """

    def __init__(
        self,
        tokens: Table,
        *,
        projection: nn.Module | None = None,
        positions: nn.Module | None = None,
        norm: nn.Module | None = None,
        scale: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.scale = scale
        self.positions = positions
        self.norm = norm if norm is not None else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.projection = projection if projection is not None else nn.Identity()

    def forward(self, tokens: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T) → (B, T, C)
        embedded = self.tokens(tokens)
        if self.scale != 1.0:
            embedded = embedded * self.scale
        if self.positions is not None:
            embedded = embedded + self.positions(layout)
        return self.projection(self.dropout(self.norm(embedded)))


class PatchEmbedding(nn.Module):
    """``dropout(norm(x + P(position)))``, x the vector of [CLS] at position 0 and ``W patch + b`` elsewhere.

    A position is learnt for each of ``count`` patches, and for [CLS]. A picture that lacks patches is embedded as well:
    a patch's position says where in the picture it stands. ``norm`` and ``bias`` may be absent.

    Source: Dosovitskiy et al. 2021, equation 1, arXiv:2010.11929; the norm: Radford et al. 2021, section 2.4,
    arXiv:2103.00020.
    """

    def __init__(
        self,
        features: int,
        count: int,
        width: int,
        *,
        bias: bool = True,
        norm: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.projection = nn.Linear(features, width, bias=bias)
        self.first = nn.Embedding(1, width)
        self.positions = LearnedPositions(count + 1, width)
        self.norm = norm if norm is not None else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, patches: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, P) → (B, T, C)
        first = (layout.positions == 0)[..., None]
        embedded = torch.where(first, self.first.weight[0], self.projection(patches))
        return self.dropout(self.norm(embedded + self.positions(layout)))
