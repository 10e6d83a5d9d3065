"""The shipped ends of a model: what turns hidden states into answers.

Shape letters: B rows, T tokens, N hidden states, C width, V vocabulary, K classes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.nn.documents import DocumentsApart, holds_one_document_a_row
from headwater.nn.pooling import Pooling
from headwater.sequence import SequenceLayout


class HeadTransform(nn.Module):
    """``norm(activation(dense(h)))``: the step between a backbone and its answer, as in ModernBERT.

    ``outputs`` is its width where that is another one: that of the table of words.
    """

    def __init__(
        self,
        width: int,
        norm: nn.Module,
        *,
        activation: Callable[[Tensor], Tensor] = F.gelu,
        bias: bool = False,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width if outputs is None else outputs, bias=bias)
        self.activation = activation
        self.norm = norm

    def forward(self, hidden_states: Tensor) -> Tensor:  # (..., C) → (..., C)
        return self.norm(self.activation(self.dense(hidden_states)))


class Scaled(nn.Module):
    """``factor · h``: T5 shortens hidden states by √C in front of an output matrix that is its table of tokens too.

    Source: Raffel et al. 2020, arXiv:1910.10683, as its published code scales the decoder's output.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, hidden_states: Tensor) -> Tensor:  # (..., C) → (..., C)
        return self.factor * hidden_states


class TiedDecoder(nn.Module):
    """Scores of every word of the vocabulary by the very vectors that embed them: h Eᵀ + b.

    The embedding belongs to the backbone. Here it is only referred to, so it appears once among the
    parameters and once in every file.

    Source: Press and Wolf 2017, arXiv:1608.05859.
    """

    def __init__(self, embedding: nn.Embedding, *, bias: bool = True) -> None:
        super().__init__()
        # In a tuple, nn.Module does not see it: a second registered name would be a second tensor in
        # state_dict, which safetensors refuses. A deep copy of the whole model still carries the reference
        # over to the copy.
        self._embedding = (embedding,)
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings)) if bias else None

    @property
    def weight(self) -> Tensor:
        """The embedding matrix, (V, C)."""
        return self._embedding[0].weight

    def forward(self, hidden_states: Tensor) -> Tensor:  # (..., C) → (..., V)
        return F.linear(hidden_states, self.weight, self.bias)


class TokenHead(nn.Module):
    """A word for each hidden state it is handed: ``decoder(transform(h))``.

    Hand in only the hidden states whose words are wanted: the decoder is the most expensive layer of a small
    model. ``transform`` and ``decoder`` (``.weight`` (V, C), ``.bias`` (V,) or None) stand apart, so that an
    objective may fuse the decoder with its loss.
    """

    def __init__(
        self, decoder: TiedDecoder | nn.Linear, transform: HeadTransform | Scaled | None = None
    ) -> None:
        super().__init__()
        self.transform = transform if transform is not None else nn.Identity()
        self.decoder = decoder

    def forward(self, hidden_states: Tensor) -> Tensor:  # (N, C) → (N, V)
        return self.decoder(self.transform(hidden_states))


class SequenceHead(nn.Module):
    """One answer for a document: pool, transform, dropout, classify.

    A packed layout gives one row of logits a document, in the order of rows and of documents in each row.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        pooling: Pooling,
        transform: HeadTransform | None = None,
        *,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.transform = transform if transform is not None else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width * getattr(pooling, "parts", 1), classes, bias=bias)

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (documents, K)
        return self.classifier(self.dropout(self.features(hidden_states, layout)))

    def features(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:
        """What the classifier reads, a row for each document."""
        if not holds_one_document_a_row(layout):
            apart = DocumentsApart.of(layout)
            hidden_states, layout = apart.take(hidden_states), apart.layout
        return self._pooled(hidden_states, layout)

    def _pooled(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:
        return self.transform(self.pooling(hidden_states, layout))


class LateSequenceHead(SequenceHead):
    """The mean of every token's answer, EuroBERT's "late" pooling: classify(transform(h)), then pool.

    The classifier is linear, so pooling its inputs and pooling its answers is the same.
    """

    def _pooled(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:
        return self.pooling(self.transform(hidden_states), layout)


class JointHead(nn.Module):
    """One answer for both sides of a pair: dropout, classify what two towers say of them."""

    def __init__(self, width: int, classes: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)

    def forward(self, features: Tensor) -> Tensor:  # (B, F) → (B, K)
        return self.classifier(self.dropout(features))


class TaggingHead(nn.Module):
    """One answer for each token: transform, dropout, classify."""

    def __init__(
        self, width: int, classes: int, transform: HeadTransform | None = None, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.transform = transform if transform is not None else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)

    def forward(self, hidden_states: Tensor) -> Tensor:  # (..., C) → (..., K)
        return self.classifier(self.dropout(self.transform(hidden_states)))
