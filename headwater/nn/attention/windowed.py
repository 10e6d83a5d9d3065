"""Sliding-window attention in blocks: time and memory linear in length, forward and backward.

Shape letters: B batch, T tokens, H heads, K key-value heads, D head dim, N blocks, W tokens of
a block, L keys that a block sees.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from headwater.nn.attention.dense import run_dense
from headwater.nn.attention.inputs import AttentionInputs
from headwater.nn.attention.mask import AttentionMask
from headwater.nn.attention.products import products_pay, run_products
from headwater.nn.shared_layout import SharedLayout, derive, share
from headwater.sequence import PADDING, SequenceLayout

SMALLEST_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a row of ``length`` tokens is cut: ``size`` queries a block, ``left`` and ``right`` more keys."""

    length: int
    size: int
    left: int
    right: int

    @classmethod
    def of(cls, mask: AttentionMask, length: int) -> "Blocks":
        """Blocks half as long as the window: shorter ones copy more keys, longer ones score more in vain."""
        reach = min(mask.window or length, length) - 1
        return cls(length, max(SMALLEST_BLOCK, (reach + 1) // 2), reach, 0 if mask.causal else reach)

    @property
    def span(self) -> int:
        """Keys that a block sees."""
        return self.left + self.size + self.right

    @property
    def missing(self) -> int:
        """Tokens that the last block lacks."""
        return -self.length % self.size

    def queries(self, rows: Tensor, fill: int = 0) -> Tensor:
        """(B, T, ...) cut into blocks: (B·N, W, ...)."""
        return _pad_time(rows, 0, self.missing, fill).unflatten(1, (-1, self.size)).flatten(0, 1)

    def keys(self, rows: Tensor, fill: int = 0) -> Tensor:
        """(B, T, ...) as each block sees it, neighbours included: (B·N, L, ...)."""
        padded = _pad_time(rows, self.left, self.missing + self.right, fill)
        return padded.unfold(1, self.span, self.size).movedim(-1, 2).flatten(0, 1)

    def join(self, blocks: Tensor, batch: int) -> Tensor:
        """(B·N, W, ...) put together again: (B, T, ...)."""
        return blocks.unflatten(0, (batch, -1)).flatten(1, 2)[:, : self.length]


def refuse_windowed(inputs: AttentionInputs) -> str | None:
    """Why blocks of neighbouring tokens do not hold every key that a query reads, or None."""
    if inputs.mask.window is None:
        return "there is no window"
    if not inputs.within_one_layout:
        return "queries and keys are not the same tokens"
    if not inputs.query_layout.contiguous:
        return "tokens of a document are not promised to be neighbours"
    return None


def windowed_pays(inputs: AttentionInputs) -> bool:
    """True when a row is more than twice as long as what one block sees."""
    length = inputs.query.shape[1]
    return length > 2 * Blocks.of(inputs.mask, length).span


def run_windowed(inputs: AttentionInputs) -> Tensor:
    """Attention of blocks of queries to the keys around them: (B, T, H, D)."""
    batch, length = inputs.query.shape[:2]
    blocks = Blocks.of(inputs.mask, length)
    query_layout, key_layout = derive(
        inputs.query_layout, ("blocks", blocks), partial(_cut_layout, inputs.query_layout, blocks)
    )
    cut = replace(
        inputs,
        query=blocks.queries(inputs.query),
        key=blocks.keys(inputs.key),
        value=blocks.keys(inputs.value),
        query_layout=query_layout,
        key_layout=key_layout,
    )
    run = run_products if products_pay(cut) else run_dense
    return blocks.join(run(cut), batch)


def _cut_layout(layout: SequenceLayout, blocks: Blocks) -> tuple[SharedLayout, SharedLayout]:
    """The layouts of the blocks as queries and as keys; what lies outside the row is padding."""
    queries = SequenceLayout(blocks.queries(layout.documents, PADDING), blocks.queries(layout.positions))
    keys = SequenceLayout(blocks.keys(layout.documents, PADDING), blocks.keys(layout.positions))
    return share(queries), share(keys)


def _pad_time(rows: Tensor, before: int, after: int, fill: int) -> Tensor:
    return F.pad(rows, (0, 0) * (rows.dim() - 2) + (before, after), value=fill)
