"""What a Transformer is also compared with: gated dilated convolutions.

Shape letters: B rows (one document each), T tokens, C width, F hidden width.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from headwater.models.backbone import Backbone
from headwater.models.settings import ConvolutionalSettings
from headwater.nn.documents import over_documents
from headwater.nn.embedding import TokenEmbedding
from headwater.nn.norm import build_norm
from headwater.sequence import SequenceLayout


class GatedConvolution(nn.Module):
    """``outer(a · σ(g))`` where a and g are two convolutions of the same tokens.

    A causal one sees its own token and those before it; a centred one as many on either side.
    Source: Dauphin et al. 2017, arXiv:1612.08083.
    """

    def __init__(self, width: int, hidden_width: int, *, kernel: int, dilation: int, causal: bool) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation
        self.edges = (reach, 0) if causal else (reach // 2, reach // 2)
        self.inner = nn.Conv1d(width, 2 * hidden_width, kernel, dilation=dilation)
        self.outer = nn.Linear(hidden_width, width)

    def forward(self, hidden_states: Tensor) -> Tensor:  # (B, T, C) → (B, T, C)
        features = F.pad(hidden_states.transpose(1, 2), self.edges)
        return self.outer(F.glu(self.inner(features), dim=1).transpose(1, 2))


class ConvolutionalBlock(nn.Module):
    """x + dropout(convolution(norm(x))), blind to padding."""

    def __init__(self, settings: ConvolutionalSettings, number: int) -> None:
        super().__init__()
        self.norm = build_norm("layer_without_bias", settings.width, 1e-5)
        self.convolution = GatedConvolution(
            settings.width,
            settings.hidden_width,
            kernel=settings.kernel,
            dilation=2 ** (number % settings.dilation_cycle),
            causal=settings.causal,
        )
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (B, T, C)
        features = self.norm(hidden_states)
        if not layout.uniform:
            # Alone, a document ends in the zeros of the edge; so what stands after it must be zero in every
            # layer.
            features = features * layout.real[..., None]
        return hidden_states + self.dropout(self.convolution(features))


class ConvolutionalBackbone(Backbone):
    """Embedding, convolutional blocks whose reach doubles with depth, a norm.

    Padded, packed and single documents give the same vectors. Dilation: van den Oord et al. 2016,
    arXiv:1609.03499.
    """

    def __init__(self, settings: ConvolutionalSettings) -> None:
        super().__init__()
        self.settings = settings
        self.width, self.vocabulary_size = settings.width, settings.vocabulary_size
        self.reads = "past" if settings.causal else "both"
        self.embedding = TokenEmbedding(nn.Embedding(settings.vocabulary_size, settings.width))
        self.blocks = nn.ModuleList(ConvolutionalBlock(settings, number) for number in range(settings.depth))
        self.final_norm = build_norm("layer_without_bias", settings.width, 1e-5)

    def embed(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T) → (B, T, C)
        """Token vectors; order enters through the kernels alone."""
        return self.embedding(inputs, layout)

    def encode(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (B, T, C)
        """Slide over each document by itself."""
        return over_documents(self._slide, embedded, layout)

    def _slide(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:
        for block in self.blocks:
            embedded = block(embedded, layout)
        return self.final_norm(embedded)
