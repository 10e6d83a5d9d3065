"""Everything attention depends on, as one value.

Shape letters: B batch, T query tokens, S key tokens, H heads, K key-value heads, D head dim.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from headwater.errors import UsageError
from headwater.nn.attention.bias import PositionBias
from headwater.nn.attention.mask import AttentionMask
from headwater.nn.shared_layout import derive
from headwater.sequence import PADDING, SequenceLayout


class Attended(NamedTuple):
    """What every query read, and how much of it came from each key."""

    values: Tensor  # (B, T, H, D)
    weights: Tensor  # (B, H, T, S), each row sums to 1, or to 0 where the query had no key to read


@dataclass(frozen=True, slots=True)
class AttentionInputs:
    """Queries, keys, values, and the rule of who reads whom.

    A query reads a key when both share a document (not padding) and the mask allows it. ``bias`` adds to the
    scores, which are multiplied by ``scale`` (1/√D unless given). ``dropout`` is the share of weights set to
    zero; pass 0 outside training.
    """

    query: Tensor  # (B, T, H, D)
    key: Tensor  # (B, S, K, D)
    value: Tensor  # (B, S, K, D)
    mask: AttentionMask
    query_layout: SequenceLayout
    key_layout: SequenceLayout
    bias: PositionBias | None = None
    scale: float | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_rows("query", self.query, self.query_layout)
        _check_rows("key", self.key, self.key_layout)
        if self.query.shape[2] % self.key.shape[2]:
            raise UsageError(
                f"{self.query.shape[2]} query heads cannot share {self.key.shape[2]} key-value heads evenly; "
                "the first number must be a multiple of the second"
            )

    @property
    def within_one_layout(self) -> bool:
        """True when queries and keys are the same tokens, known without reading tensors."""
        return self.query_layout is self.key_layout

    @property
    def score_scale(self) -> float:
        """The factor of the scores: ``scale``, or 1/√D."""
        return self.query.shape[-1] ** -0.5 if self.scale is None else self.scale

    def dense_mask(self) -> Tensor:
        """True where a query reads a key: (B, 1, T, S); once per forward pass under a shared layout."""
        recipe = ("dense mask", self.mask)
        return derive(self.query_layout, recipe, self._dense_mask, partner=self.key_layout)

    def dense_bias(self) -> Tensor | None:
        """What is added to the scores, (B or 1, H, T, S), or None."""
        if self.bias is None:
            return None
        head = torch.arange(self.query.shape[2], device=self.query.device)[None, :, None, None]
        query_positions = _distinct_rows(self.query_layout.positions)[:, None, :, None]
        key_positions = _distinct_rows(self.key_layout.positions)[:, None, None, :]
        return self.bias(head, query_positions, key_positions)

    def _dense_mask(self) -> Tensor:
        query, key = self.query_layout, self.key_layout
        return readable(
            self.mask,
            (query.documents[:, :, None], query.positions[:, :, None]),
            (key.documents[:, None, :], key.positions[:, None, :]),
        )[:, None]


def readable(mask: AttentionMask, query: tuple[Tensor, Tensor], key: tuple[Tensor, Tensor]) -> Tensor:
    """The rule itself, for (documents, positions) of queries and keys that broadcast against each other."""
    same_document = (query[0] == key[0]) & (query[0] != PADDING)
    if not mask.causal and mask.window is None:
        return same_document
    return same_document & mask.allows(query[1], key[1])


def _distinct_rows(positions: Tensor) -> Tensor:
    """One row when all rows are the same memory, as ``SequenceLayout.dense`` and ``padded`` make them."""
    return positions[:1] if positions.stride(0) == 0 else positions


def _check_rows(name: str, tensor: Tensor, layout: SequenceLayout) -> None:
    if tensor.dim() != 4 or tensor.shape[:2] != layout.documents.shape:
        raise UsageError(
            f"{name} has shape {tuple(tensor.shape)}, its layout {tuple(layout.documents.shape)}; "
            "expected (batch, tokens, heads, head width) and a layout of (batch, tokens)"
        )
