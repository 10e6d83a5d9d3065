"""Documents taken apart: one a row, and put back where they were.

A recurrent network walks through a whole document, a convolution looks over its edge, and a pooled vector
belongs to one document: all three want rows that hold one document each. Shape letters: B rows, T tokens,
N documents, L tokens of the longest document, C width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from headwater.sequence import SequenceLayout


@dataclass(frozen=True, slots=True)
class DocumentsApart:
    """Where each token of N padded rows, one document each, stands in the B rows it came from.

    Documents keep the order of rows and of document numbers in each row, tokens the order of their positions.
    """

    lengths: Tensor  # (N,)
    layout: SequenceLayout  # (N, L), padded
    sources: Tensor  # real tokens: their places among B · T
    places: Tensor  # real tokens: their places among N · L

    @classmethod
    def of(cls, layout: SequenceLayout) -> "DocumentsApart":
        """Read the document numbers of ``layout``; rows without any token vanish."""
        documents, positions = layout.documents.flatten(), layout.positions.flatten()
        rows = torch.arange(len(layout.documents), device=documents.device).repeat_interleave(
            layout.documents.shape[1]
        )
        real = (documents >= 0).nonzero().squeeze(1)
        owners = rows[real] * (documents.max() + 1) + documents[real]
        _, number, lengths = cast(
            tuple[Tensor, ...], torch.unique(owners, return_inverse=True, return_counts=True)
        )
        # Sorted by (document, position), so that a layout whose tokens were shuffled still walks forwards.
        order = torch.argsort(number * (positions.max() + 1) + positions[real], stable=True)
        number, sources = number[order], real[order]
        starts = lengths.cumsum(0) - lengths
        width = int(lengths.max()) if len(lengths) else 0
        places = number * width + torch.arange(len(number), device=number.device) - starts[number]
        padded = SequenceLayout.padded(lengths, width)
        own_positions = torch.zeros(len(lengths) * width, dtype=positions.dtype, device=positions.device)
        own_positions[places] = positions[sources]
        apart = SequenceLayout(
            padded.documents, own_positions.view_as(padded.documents), contiguous=layout.contiguous
        )
        return cls(lengths, apart, sources, places)

    def take(self, values: Tensor) -> Tensor:
        """(B, T, C) → (N, L, C), zeros where a document is shorter than the longest."""
        rows = values.new_zeros(self.layout.documents.numel(), values.shape[-1])
        rows = rows.index_copy(0, self.places, values.flatten(0, 1)[self.sources])
        return rows.view(*self.layout.documents.shape, values.shape[-1])

    def put_back(self, values: Tensor, like: SequenceLayout) -> Tensor:
        """(N, L, C) → (B, T, C), zeros where ``like`` is padded."""
        rows = values.new_zeros(like.documents.numel(), values.shape[-1])
        rows = rows.index_copy(0, self.sources, values.flatten(0, 1)[self.places])
        return rows.view(*like.documents.shape, values.shape[-1])


def holds_one_document_a_row(layout: SequenceLayout) -> bool:
    """True when no row holds more than document 0; reads the tensor unless the layout promises it."""
    return layout.uniform or int(layout.documents.max()) <= 0


def over_documents(
    layer: Callable[[Tensor, SequenceLayout], Tensor], hidden_states: Tensor, layout: SequenceLayout
) -> Tensor:
    """``layer`` applied to rows of one document each, whatever the layout: (B, T, C) → same, padding zero."""
    if layout.uniform:
        return layer(hidden_states, layout)
    apart = DocumentsApart.of(layout)
    return apart.put_back(layer(apart.take(hidden_states), apart.layout), layout)
