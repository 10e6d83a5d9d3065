"""One block for every Transformer of the house: encoder or decoder, norm before or after, memory or none.

Shape letters: B batch, T query tokens, S memory tokens, N places, C width.
"""

from typing import Literal, NamedTuple, get_args

from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.nn.attention import KeyValueCache, MultiHeadAttention
from headwater.nn.residual import Residual
from headwater.sequence import SequenceLayout

NormPosition = Literal["before", "after"]
NORM_POSITIONS: tuple[NormPosition, ...] = get_args(NormPosition)


class BlockNorms(NamedTuple):
    """The norms of a block; ``nn.Identity()`` where there is none (ModernBERT's first attention has none)."""

    attention: nn.Module
    feed_forward: nn.Module
    cross_attention: nn.Module | None = None


class BlockCache(NamedTuple):
    """What a block has read in earlier calls: its own tokens, and the memory if it has one."""

    own: KeyValueCache
    memory: KeyValueCache | None = None


class Block(nn.Module):
    """Attention gathers, the feed-forward transforms; each adds its update to the stream.

    ``before``: x + f(norm(x)) (the stream itself is never normalised); ``after``: norm(x + f(x)), the
    paper's own. With ``cross_attention`` a third update stands between the two and reads the memory.

    With ``places`` (N,), numbers of tokens in the flattened rows, every token is read but only those are answered:
    (N, C). The last block of a stack is asked so when a loss is taken at few tokens.

    Source: Vaswani et al. 2017, section 3.1, arXiv:1706.03762; Xiong et al. 2020, arXiv:2002.04745 (before).
    """

    def __init__(
        self,
        attention: MultiHeadAttention,
        feed_forward: nn.Module,
        norms: BlockNorms,
        *,
        norm_position: NormPosition = "before",
        cross_attention: MultiHeadAttention | None = None,
        residual: Residual | None = None,
    ) -> None:
        super().__init__()
        if norm_position not in NORM_POSITIONS:
            raise SettingsError(f"norm_position={norm_position!r}; choose 'before' or 'after'")
        if (cross_attention is None) != (norms.cross_attention is None):
            raise SettingsError("cross-attention and its norm come together: give both, or neither")
        self.norm_position = norm_position
        self.attention_norm = norms.attention
        self.attention = attention
        self.cross_attention_norm = norms.cross_attention
        self.cross_attention = cross_attention
        self.feed_forward_norm = norms.feed_forward
        self.feed_forward = feed_forward
        self.residual = residual if residual is not None else Residual()

    def forward(
        self,
        hidden_states: Tensor,  # (B, T, C)
        layout: SequenceLayout,
        *,
        memory: Tensor | None = None,  # (B, S, C)
        memory_layout: SequenceLayout | None = None,
        cache: BlockCache | None = None,
        places: Tensor | None = None,  # (N,)
    ) -> Tensor:  # (B, T, C), or (N, C)
        own, memory_cache = cache or (None, None)
        entered = self._enter(self.attention_norm, hidden_states)
        update = self.attention(entered, layout, cache=own, places=places)
        if places is not None:
            assert self.answers_places, "this block has to answer every token"
            hidden_states = hidden_states.flatten(0, 1)[places]
        hidden_states = self._leave(self.attention_norm, hidden_states, update)
        if self.cross_attention is not None and self.cross_attention_norm is not None:
            query = self._enter(self.cross_attention_norm, hidden_states)
            update = self.cross_attention(
                query, layout, memory=memory, memory_layout=memory_layout, cache=memory_cache
            )
            hidden_states = self._leave(self.cross_attention_norm, hidden_states, update)
        update = self.feed_forward(self._enter(self.feed_forward_norm, hidden_states))
        return self._leave(self.feed_forward_norm, hidden_states, update)

    @property
    def answers_places(self) -> bool:
        """True when an answer depends on its token alone once attention has read.

        Cross-attention reads row by row, and stochastic depth leaves out the updates of whole rows.
        """
        return self.cross_attention is None and self.residual.stochastic_depth == 0.0

    def _enter(self, norm: nn.Module, hidden_states: Tensor) -> Tensor:
        return norm(hidden_states) if self.norm_position == "before" else hidden_states

    def _leave(self, norm: nn.Module, hidden_states: Tensor, update: Tensor) -> Tensor:
        added = self.residual(hidden_states, update)
        return norm(added) if self.norm_position == "after" else added
