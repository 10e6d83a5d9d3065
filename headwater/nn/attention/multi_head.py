"""Multi-head attention: several attentions side by side, each on its own share of the features.

Shape letters: B batch, T query tokens, S key tokens, H heads, K key-value heads, D head dim, C width.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from headwater.errors import SettingsError, UsageError
from headwater.nn.attention.bias import PositionBias
from headwater.nn.attention.cache import KeyValueCache
from headwater.nn.attention.inputs import AttentionInputs
from headwater.nn.attention.kernels import attention
from headwater.nn.attention.linear import linear_attention
from headwater.nn.attention.mask import AttentionMask
from headwater.nn.positions.rotary import Rotary
from headwater.nn.shared_layout import derive, share
from headwater.sequence import SequenceLayout

Read = tuple[Tensor, Tensor, SequenceLayout]  # keys, values (B, S, K, D), and where they stand


class Attend(nn.Module):
    """Attention without parameters, as a module of its own so that analysis can put another in its place."""

    def __init__(self, kernel: str | None = None) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, inputs: AttentionInputs) -> Tensor:
        return attention(inputs, kernel=self.kernel)


class LinearAttend(Attend):
    """Attention by sums over keys, in the place of softmax."""

    def forward(self, inputs: AttentionInputs) -> Tensor:
        return linear_attention(inputs)


class MultiHeadAttention(nn.Module):
    """head_h = attention(Q W_h^Q, K W_h^K, V W_h^V); the heads side by side, times W^O.

    W^Q, W^K and W^V are the rows of one matrix ``qkv``: H·D query rows, then K·D key rows, then K·D value
    rows. With ``num_key_value_heads`` below ``num_heads`` each key-value head serves H/K query heads. ``scale``
    multiplies the scores (None: 1/√D; T5 has 1). ``attend`` is how values are read (None: by softmax). Vaswani et al.
    2017, section 3.2.2, arXiv:1706.03762; grouped heads: Ainslie et al. 2023, arXiv:2305.13245.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        mask: AttentionMask,
        rotary: Rotary | None = None,
        bias: PositionBias | None = None,
        scale: float | None = None,
        linear_bias: bool = False,
        dropout: float = 0.0,
        attend: Attend | None = None,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.num_key_value_heads = num_heads if num_key_value_heads is None else num_key_value_heads
        self.head_dim = _head_dim(width, num_heads) if head_dim is None else head_dim
        self._check(rotary)
        query_width, key_width = self.num_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        self.split = (query_width, key_width, key_width)
        self.qkv = nn.Linear(width, sum(self.split), bias=linear_bias)
        self.out = nn.Linear(query_width, width, bias=linear_bias)
        self.attend = Attend() if attend is None else attend
        self.mask, self.rotary, self.bias, self.scale, self.dropout = mask, rotary, bias, scale, dropout

    def forward(
        self,
        hidden_states: Tensor,
        layout: SequenceLayout,
        *,
        memory: Tensor | None = None,
        memory_layout: SequenceLayout | None = None,
        cache: KeyValueCache | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        """What each token of ``hidden_states`` (B, T, C) reads from its row, or from ``memory`` (B, S, C).

        With ``cache``, keys and values of the row are appended to it and all held ones are read; those of a
        memory are computed once, on the first call, and held. With ``places`` (N,), numbers of tokens in the
        flattened rows, the answer is (N, C): theirs alone.
        """
        if (memory is None) != (memory_layout is None):
            raise UsageError(
                "memory and memory_layout belong together: give both (cross-attention) or neither"
            )
        if memory is None or memory_layout is None:
            query, read = self._from_itself(hidden_states, layout, cache)
        else:
            query, read = self._from_memory(hidden_states, layout, (memory, memory_layout), cache)
        key, value, key_layout = read
        if cache is not None:
            query = query.to(key.dtype)  # what is held may be in another precision
        together, query_layout = _side_by_side(query, layout, rows=len(key))
        inputs = AttentionInputs(
            together,
            key,
            value,
            mask=self.mask,
            query_layout=query_layout,
            key_layout=key_layout,
            bias=self.bias,
            scale=self.scale,
            dropout=self.dropout if self.training else 0.0,
        )
        read = self.attend(inputs).reshape(*query.shape[:2], -1)
        return self.out(read if places is None else read.flatten(0, 1)[places])

    def _from_itself(
        self, hidden_states: Tensor, layout: SequenceLayout, cache: KeyValueCache | None
    ) -> tuple[Tensor, Read]:
        projected = self._heads(self.qkv(hidden_states))  # (B, T, H + 2K, D)
        turned, value = projected.split(
            (self.num_heads + self.num_key_value_heads, self.num_key_value_heads), dim=2
        )
        if self.rotary is not None:  # queries and keys lie side by side: one pass turns both
            turned = self.rotary(turned, layout)
        query, key = turned.split((self.num_heads, self.num_key_value_heads), dim=2)
        return query, (key, value, layout) if cache is None else cache.append(key, value, layout)

    def _from_memory(
        self,
        hidden_states: Tensor,
        layout: SequenceLayout,
        memory: tuple[Tensor, SequenceLayout],
        cache: KeyValueCache | None,
    ) -> tuple[Tensor, Read]:
        query = self._turn(self._heads(self._project(hidden_states, slice(0, self.split[0]))), layout)
        if cache is not None and cache.length:
            return query, cache.held(layout)
        states, memory_layout = memory
        read = self._heads(self._project(states, slice(self.split[0], None)))
        key, value = read.chunk(2, dim=2)
        key = self._turn(key, memory_layout)
        if cache is None:
            return query, (key, value, memory_layout)
        return query, cache.append(key, value, memory_layout)

    def _project(self, states: Tensor, rows: slice) -> Tensor:
        bias = None if self.qkv.bias is None else self.qkv.bias[rows]  # pyright: ignore[reportUnnecessaryComparison]
        return F.linear(states, self.qkv.weight[rows], bias)

    def _heads(self, features: Tensor) -> Tensor:
        # Only the features are split. Folding (B, T, C) straight into (B, H, T, D) would cut time instead.
        return features.unflatten(-1, (-1, self.head_dim))

    def _turn(self, vectors: Tensor, layout: SequenceLayout) -> Tensor:
        return vectors if self.rotary is None else self.rotary(vectors, layout)

    def _check(self, rotary: Rotary | None) -> None:
        if self.num_key_value_heads < 1 or self.num_heads % self.num_key_value_heads:
            raise SettingsError(
                f"num_key_value_heads={self.num_key_value_heads} does not divide num_heads={self.num_heads}"
            )
        if rotary is not None and rotary.head_dim != self.head_dim:
            raise SettingsError(
                f"rotary positions for heads of {rotary.head_dim} do not fit heads of {self.head_dim}; "
                f"build them with Rotary(head_dim={self.head_dim})"
            )


def _side_by_side(query: Tensor, layout: SequenceLayout, *, rows: int) -> tuple[Tensor, SequenceLayout]:
    """Queries (B, T, H, D) of several rows that read one memory, as those of one row: (rows, B/rows · T, H, D)."""
    if len(query) == rows:
        return query, layout

    def joined() -> SequenceLayout:
        documents, positions = (tensor.reshape(rows, -1) for tensor in (layout.documents, layout.positions))
        return share(SequenceLayout(documents, positions, uniform=layout.uniform))

    return query.reshape(rows, -1, *query.shape[2:]), derive(layout, ("side by side", rows), joined)


def _head_dim(width: int, num_heads: int) -> int:
    if num_heads < 1 or width % num_heads:
        divisors = [str(count) for count in range(1, min(width, 65)) if width % count == 0]
        raise SettingsError(
            f"num_heads={num_heads} does not divide width={width}; choose one of {', '.join(divisors)}, "
            "or give head_dim"
        )
    return width // num_heads
