"""The Transformer: encoder, decoder, and both together.

Shape letters: B batch, T tokens, S source tokens, N places, C width.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar, cast

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType]

from headwater.models.backbone import Backbone, EncoderDecoder
from headwater.models.settings import EncoderDecoderSettings, TransformerSettings
from headwater.nn.attention import Attend, AttentionMask, LinearAttend, MultiHeadAttention, PositionBias
from headwater.nn.block import Block, BlockCache, BlockNorms
from headwater.nn.borrowed import Borrowed
from headwater.nn.embedding import PatchEmbedding, TokenEmbedding
from headwater.nn.feed_forward import build_feed_forward
from headwater.nn.norm import build_norm
from headwater.nn.positions import LearnedPositions, LinearBias, RelativeBuckets, Rotary, SinusoidalPositions
from headwater.nn.residual import Residual
from headwater.nn.shared_layout import share
from headwater.sequence import SequenceLayout


class TransformerBackbone(Backbone):
    """Embedding, blocks, final norm. Causal settings make a decoder, others an encoder.

    Source: Vaswani et al. 2017, arXiv:1706.03762; the default settings: Warner et al. 2024, arXiv:2412.13663.
    """

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.width, self.vocabulary_size = settings.width, settings.vocabulary_size
        self.reads = "past" if settings.causal else "both"
        self.longest_row = settings.longest_row
        self.embedding = build_first_layer(settings)
        self.blocks = build_blocks(settings)
        self.final_norm = build_final_norm(settings)

    def embed(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T) or (B, T, P) → (B, T, C)
        """The vectors of tokens or patches, with absolute positions where the settings have them."""
        return self.embedding(inputs, layout)

    def encode(
        self, embedded: Tensor, layout: SequenceLayout, *, caches: Sequence[BlockCache] | None = None
    ) -> Tensor:  # (B, T, C) → (B, T, C)
        """Pass through all blocks; ``caches``, one a block, hold what earlier calls have read."""
        layout = share(layout)
        hidden_states = embedded
        for number, block in enumerate(self.blocks):
            cache = None if caches is None else caches[number]
            hidden_states = self._through(block, hidden_states, layout, cache)
        return self.final_norm(hidden_states)

    def layers(self, embedded: Tensor, layout: SequenceLayout) -> list[Tensor]:
        """The states after each block, the last behind the final norm: (B, T, C) each."""
        layout = share(layout)
        found: list[Tensor] = []
        for block in self.blocks:
            embedded = self._through(block, embedded, layout)
            found.append(embedded)
        return [*found[:-1], self.final_norm(found[-1])]

    def encode_places(self, embedded: Tensor, layout: SequenceLayout, places: Tensor) -> Tensor:
        """``encode`` at ``places`` (N,) of the flattened rows: (N, C); the last block transforms them alone.

        Where 30 % of the tokens are wanted, that spares a model of 4 blocks an eighth of its operations.
        """
        *blocks, last = cast(Sequence[Block], self.blocks)
        if not last.answers_places:
            return super().encode_places(embedded, layout, places)
        layout = share(layout)
        hidden_states = embedded
        for block in blocks:
            hidden_states = self._through(block, hidden_states, layout)
        return self.final_norm(self._through(last, hidden_states, layout, places=places))

    def _through(
        self,
        block: nn.Module,
        hidden_states: Tensor,
        layout: SequenceLayout,
        cache: BlockCache | None = None,
        places: Tensor | None = None,
    ) -> Tensor:
        if self.checkpoint_activations and self.training:
            again = partial(block, places=places)
            return cast(Tensor, checkpoint(again, hidden_states, layout, use_reentrant=False))
        return block(hidden_states, layout, cache=cache, places=places)


class TransformerEncoderDecoder(EncoderDecoder):
    """Two stacks of the same block: the second reads the first through cross-attention.

    They look tokens up in one table, unless the first one reads patches.

    Each stack has positions and an embedding norm of its own where those are learnt. Source: Vaswani et al. 2017,
    section 3.1 and 3.4 (one matrix for both embeddings), arXiv:1706.03762.
    """

    def __init__(self, settings: EncoderDecoderSettings) -> None:
        super().__init__()
        self.settings = settings
        encoder, decoder = settings.encoder, settings.decoder
        self.width, self.vocabulary_size, self.reads = settings.width, settings.vocabulary_size, "both"
        self.longest_row = decoder.longest_row if settings.looks else encoder.longest_row
        self.embedding = build_first_layer(encoder)
        self.blocks = build_blocks(encoder)
        self.final_norm = build_final_norm(encoder)
        table = nn.Embedding(decoder.vocabulary_size, decoder.table_width) if settings.looks else None
        own = self.embedding.tokens if isinstance(self.embedding, TokenEmbedding) else table
        assert own is not None
        self.decoder_embedding: TokenEmbedding[nn.Embedding] | TokenEmbedding[Borrowed] = (
            build_embedding(decoder, Borrowed(own)) if table is None else build_embedding(decoder, table)
        )
        self.decoder_blocks = build_blocks(decoder, reads_memory=True)
        self.decoder_norm = build_final_norm(decoder)

    @property
    def token_embedding(self) -> nn.Embedding:
        """The table of the target's tokens, and of the source's where that is a text."""
        for embedding in (self.embedding, self.decoder_embedding):
            if isinstance(embedding, TokenEmbedding) and isinstance(embedding.tokens, nn.Embedding):
                return embedding.tokens
        raise AssertionError("one of both embeddings owns the table")

    def embed(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T) or (B, T, P) → (B, T, C)
        """Vectors of a source's tokens or patches."""
        return self.embedding(inputs, layout)

    def embed_target(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T) → (B, T, C)
        """Token vectors of a target."""
        return self.decoder_embedding(inputs, layout)

    def encode(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:  # (B, S, C) → (B, S, C)
        """Source vectors → the memory that the decoder reads."""
        layout = share(layout)
        for block in self.blocks:
            embedded = self._through(block, embedded, layout)
        return self.final_norm(embedded)

    def decode(
        self,
        embedded: Tensor,
        layout: SequenceLayout,
        memory: Tensor,
        memory_layout: SequenceLayout,
        cache: Sequence[BlockCache] | None = None,
    ) -> Tensor:  # (B, T, C) and (B, S, C) → (B, T, C)
        """Target vectors that have read their own past and the whole source."""
        layout, memory_layout = share(layout), share(memory_layout)
        for number, block in enumerate(self.decoder_blocks):
            block_cache = None if cache is None else cache[number]
            embedded = self._through(
                block, embedded, layout, memory=memory, memory_layout=memory_layout, cache=block_cache
            )
        return self.decoder_norm(embedded)

    def _through(
        self, block: nn.Module, hidden_states: Tensor, layout: SequenceLayout, **read: Any
    ) -> Tensor:
        if self.checkpoint_activations and self.training:
            return cast(Tensor, checkpoint(block, hidden_states, layout, use_reentrant=False, **read))
        return block(hidden_states, layout, **read)


Table = TypeVar("Table", bound=nn.Module)


def build_first_layer(settings: TransformerSettings) -> "TokenEmbedding[nn.Embedding] | PatchEmbedding":
    """What makes vectors of tokens, with a table of its own, or of patches."""
    patches = settings.patches
    if patches is None:
        return build_embedding(settings, nn.Embedding(settings.vocabulary_size, settings.table_width))
    return PatchEmbedding(
        patches.features,
        patches.count,
        settings.width,
        bias=patches.bias,
        norm=build_embedding_norm(settings),
        dropout=settings.embedding_dropout,
    )


def build_embedding(settings: TransformerSettings, tokens: Table) -> TokenEmbedding[Table]:
    """The table of tokens, absolute positions if any, norm if any, a map where the table is narrower or wider."""
    wide = settings.table_width == settings.width
    return TokenEmbedding(
        tokens,
        projection=None if wide else nn.Linear(settings.table_width, settings.width),
        positions=_absolute_positions(settings),
        norm=build_embedding_norm(settings),
        scale=settings.embedding_scale,
        dropout=settings.embedding_dropout,
    )


def build_embedding_norm(settings: TransformerSettings) -> nn.Module | None:
    """The norm behind tables and positions, where there is one."""
    if not settings.embedding_norm:
        return None
    return build_norm(settings.norm, settings.table_width, settings.norm_epsilon)


def build_blocks(settings: TransformerSettings, *, reads_memory: bool = False) -> nn.ModuleList:
    """The blocks of a stack; a position bias that is learnt belongs to the first, and the others borrow it."""
    bias = _position_bias(settings)
    lent = Borrowed(bias) if isinstance(bias, nn.Module) else bias
    return nn.ModuleList(
        build_block(settings, number, bias if number == 0 else lent, reads_memory=reads_memory)
        for number in range(settings.depth)
    )


def build_block(
    settings: TransformerSettings, number: int, bias: PositionBias | None, *, reads_memory: bool = False
) -> Block:
    """Block ``number`` of the stack that the settings describe; ``bias`` is added to its scores."""

    def norm() -> nn.Module:
        return build_norm(settings.norm, settings.width, settings.norm_epsilon)

    bare = number == 0 and not settings.first_attention_norm
    # Deeper updates are left out more often: the linear rule of Huang et al. 2016, section 3.
    stochastic_depth = settings.stochastic_depth * (number + 1) / settings.depth
    return Block(
        build_attention(settings, number, bias),
        build_feed_forward(
            settings.feed_forward,
            settings.width,
            settings.feed_forward_width,
            bias=settings.linear_bias,
            dropout=settings.feed_forward_dropout,
        ),
        BlockNorms(nn.Identity() if bare else norm(), norm(), norm() if reads_memory else None),
        norm_position=settings.norm_position,
        cross_attention=build_cross_attention(settings) if reads_memory else None,
        residual=Residual(dropout=settings.residual_dropout, stochastic_depth=stochastic_depth),
    )


def build_attention(
    settings: TransformerSettings, number: int, bias: PositionBias | None
) -> MultiHeadAttention:
    """The self-attention of block ``number``, with its window, its rotation or its bias."""
    rotary = (
        Rotary(settings.head_width, settings.theta_of(number)) if settings.positions == "rotary" else None
    )
    return MultiHeadAttention(
        settings.width,
        settings.num_heads,
        num_key_value_heads=settings.num_key_value_heads,
        head_dim=settings.head_dim,
        mask=AttentionMask(causal=settings.causal, window=settings.window_of(number)),
        rotary=rotary,
        bias=bias,
        scale=settings.attention_scale,
        linear_bias=settings.linear_bias,
        dropout=settings.attention_dropout,
        attend=_attend(settings),
    )


def build_cross_attention(settings: TransformerSettings) -> MultiHeadAttention:
    """Attention from a target to a whole source; their positions do not compare: no mask, no rotation."""
    return MultiHeadAttention(
        settings.width,
        settings.num_heads,
        num_key_value_heads=settings.num_key_value_heads,
        head_dim=settings.head_dim,
        mask=AttentionMask(),
        scale=settings.attention_scale,
        linear_bias=settings.linear_bias,
        dropout=settings.attention_dropout,
        attend=_attend(settings),
    )


def _attend(settings: TransformerSettings) -> Attend:
    return LinearAttend() if settings.attention == "linear" else Attend()


def build_final_norm(settings: TransformerSettings) -> nn.Module:
    """The norm after the last block, or nothing."""
    if not settings.final_norm:
        return nn.Identity()
    return build_norm(settings.norm, settings.width, settings.norm_epsilon)


def _absolute_positions(settings: TransformerSettings) -> nn.Module | None:
    match settings.positions:
        case "learned":
            return LearnedPositions(settings.max_length, settings.table_width)
        case "learned_from_two":
            return LearnedPositions(settings.max_length, settings.table_width, start=2)
        case "sinusoidal":
            return SinusoidalPositions(settings.table_width)
        case "sinusoidal_halves":
            return SinusoidalPositions(settings.table_width, "halves")
        case "sinusoidal_tensor2tensor":
            start = (settings.pad_token or 0) + 1
            return SinusoidalPositions(settings.table_width, "tensor2tensor", start=start)
        case _:
            return None


def _position_bias(settings: TransformerSettings) -> PositionBias | None:
    if settings.positions == "relative":
        return RelativeBuckets(
            settings.num_heads,
            num_buckets=settings.relative_buckets,
            max_distance=settings.relative_distance,
            both_sides=not settings.causal,
        )
    return LinearBias(settings.num_heads) if settings.positions == "alibi" else None
