"""What every backbone promises, whatever it is made of. Shape letters: B batch, T tokens, N places, C width."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.nn.block import BlockCache
from headwater.nn.embedding import TokenEmbedding
from headwater.sequence import SequenceLayout

Reads = Literal["both", "past"]


class Backbone(nn.Module, ABC):
    """Tokens in, one vector a token out.

    ``reads`` says what a token's vector may know: the tokens before it ("past"), or those on both sides
    ("both"). ``checkpoint_activations`` set to True trades time for memory: activations are computed again
    in the backward pass. ``longest_row`` is how many tokens a row may have where positions are learnt, else None.
    """

    width: int
    vocabulary_size: int
    reads: Reads
    checkpoint_activations: bool = False
    longest_row: int | None = None

    @property
    def token_embedding(self) -> nn.Embedding:
        """The table that embeds tokens, (V, C): what a tied head decodes with. SettingsError where there are none."""
        embedding = self._modules["embedding"]
        if isinstance(embedding, TokenEmbedding) and isinstance(embedding.tokens, nn.Embedding):
            return embedding.tokens
        raise SettingsError("a model of pictures has no table of tokens; choose a head that needs none")

    @abstractmethod
    def embed(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:
        """Token numbers (B, T) → vectors (B, T, C)."""

    @abstractmethod
    def encode(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:
        """Vectors (B, T, C) → vectors that have read each other (B, T, C)."""

    def layers(self, embedded: Tensor, layout: SequenceLayout) -> list[Tensor]:
        """The states after each block, (B, T, C) each, the last as ``encode`` gives them; one without blocks."""
        return [self.encode(embedded, layout)]

    def encode_places(self, embedded: Tensor, layout: SequenceLayout, places: Tensor) -> Tensor:
        """What ``encode`` gives for some tokens alone, ``places`` (N,) of the flattened rows: (N, C)."""
        return self.encode(embedded, layout).flatten(0, 1)[places]

    def forward(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:
        """Embed, then encode."""
        return self.encode(self.embed(inputs, layout), layout)


class EncoderDecoder(Backbone):
    """A backbone with a second stack that writes while it reads the first one's output."""

    @abstractmethod
    def embed_target(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:
        """Token numbers of targets (B, T) → vectors (B, T, C), as ``decode`` reads them."""

    @abstractmethod
    def decode(
        self,
        embedded: Tensor,
        layout: SequenceLayout,
        memory: Tensor,
        memory_layout: SequenceLayout,
        cache: Sequence[BlockCache] | None = None,
    ) -> Tensor:
        """Target vectors (B, T, C) that read their own past and the encoded source (B, S, C) → (B, T, C)."""
