"""From token numbers to vectors. Shape letters: B batch, T tokens, E width of the table, C width, V vocabulary."""

from torch import Tensor, nn

from headwater.sequence import SequenceLayout


class TokenEmbedding(nn.Module):
    """``projection(dropout(norm(scale · E[token] + P(position))))``; each part but E may be absent.

    ``positions`` maps a layout to vectors (B, T, E); rotary positions and score biases act inside attention
    and need none. ``scale`` is √C in the paper, 1 elsewhere. A table of another width than the model's,
    ``embedding_width``, is followed by a linear map from E to C.

    Source: Vaswani et al. 2017, sections 3.4 and 3.5, arXiv:1706.03762; the map: Lan et al. 2019, section 3.1,
    arXiv:1909.11942, with ELECTRA's order and bias.
    """

    def __init__(
        self,
        vocabulary_size: int,
        width: int,
        *,
        embedding_width: int | None = None,
        positions: nn.Module | None = None,
        norm: nn.Module | None = None,
        scale: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        table_width = width if embedding_width is None else embedding_width
        self.tokens = nn.Embedding(vocabulary_size, table_width)
        self.scale = scale
        self.positions = positions
        self.norm = norm if norm is not None else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Identity() if table_width == width else nn.Linear(table_width, width)

    def forward(self, tokens: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T) → (B, T, C)
        embedded = self.tokens(tokens)
        if self.scale != 1.0:
            embedded = embedded * self.scale
        if self.positions is not None:
            embedded = embedded + self.positions(layout)
        return self.projection(self.dropout(self.norm(embedded)))
