"""The words that every floor shares: where tokens belong and stand, and what one batch holds.

Shape letters: B batch, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

PADDING = -1
"""The document number of a token that belongs to no document."""


@dataclass(frozen=True, slots=True)
class SequenceLayout:
    """Which document each token belongs to and where it stands in it.

    Two promises can be made without reading tensors, so that kernels may rely on them on any device:
    ``uniform`` (every row is one whole document, nothing padded) and ``contiguous`` (inside a row, the tokens of
    a document are neighbours and their positions count up by one).
    """

    documents: Tensor  # (B, T), padding is -1
    positions: Tensor  # (B, T)
    uniform: bool = False
    contiguous: bool = False

    @classmethod
    def dense(
        cls, batch: int, length: int, *, start: int = 0, device: torch.device | str | None = None
    ) -> "SequenceLayout":
        """Every row is one document of ``length`` tokens whose first token stands at position ``start``."""
        positions = torch.arange(start, start + length, device=device).expand(batch, -1)
        return cls(torch.zeros_like(positions), positions, uniform=True, contiguous=True)

    @classmethod
    def padded(cls, lengths: Tensor, width: int) -> "SequenceLayout":
        """One document a row, padded on the right to ``width`` tokens."""
        positions = torch.arange(width, device=lengths.device).expand(len(lengths), -1)
        documents = torch.where(positions < lengths[:, None], 0, PADDING)
        return cls(documents, positions, contiguous=True)

    @classmethod
    def packed(cls, lengths: Sequence[Sequence[int]], width: int) -> "SequenceLayout":
        """Several documents one after another in each row, the rest of the row padded."""
        documents = torch.full((len(lengths), width), PADDING)
        positions = torch.zeros(len(lengths), width, dtype=torch.long)
        for row, row_lengths in enumerate(lengths):
            start = 0
            for number, length in enumerate(row_lengths):
                documents[row, start : start + length] = number
                positions[row, start : start + length] = torch.arange(length)
                start += length
        return cls(documents, positions, contiguous=True)

    @property
    def real(self) -> Tensor:
        """True where a token belongs to a document: (B, T)."""
        return self.documents != PADDING

    def to(self, device: torch.device | str) -> "SequenceLayout":
        """The same layout with its tensors on ``device``."""
        return replace(self, documents=self.documents.to(device), positions=self.positions.to(device))


@dataclass(frozen=True, slots=True)
class Batch:
    """A group of examples as the model reads them.

    ``inputs`` are token numbers (B, T) or feature vectors (B, T, P). ``items`` are the stable numbers of the
    examples in their store: the key of their random draws. In a packed batch there are more items than rows,
    in the order of rows and of documents in each row.
    """

    inputs: Tensor
    layout: SequenceLayout
    items: Tensor  # (examples,)
    epoch: int = 0
    targets: Tensor | None = None
    target_layout: SequenceLayout | None = None
    labels: Tensor | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch with its tensors on ``device``; ``items`` stay where they are."""

        return replace(
            self,
            inputs=self.inputs.to(device),
            layout=self.layout.to(device),
            targets=None if self.targets is None else self.targets.to(device),
            target_layout=None if self.target_layout is None else self.target_layout.to(device),
            labels=None if self.labels is None else self.labels.to(device),
        )
