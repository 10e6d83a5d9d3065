"""What a Transformer replaced, for honest comparison: LSTM and GRU, with or without attention.

Shape letters: B rows (one document each), T tokens, C width, F hidden width of all directions together.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from headwater.models.backbone import Backbone
from headwater.models.settings import RecurrentSettings
from headwater.nn.attention import AdditiveAttention, AttentionMask
from headwater.nn.documents import over_documents
from headwater.nn.embedding import PatchEmbedding, TokenEmbedding
from headwater.nn.norm import build_norm
from headwater.sequence import SequenceLayout

_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class ReadStates(nn.Module):
    """Every state also reads the states of its document: [state; Σ weight · state], by additive attention.

    Source: Bahdanau et al. 2015, arXiv:1409.0473, turned on the sequence itself (Cheng et al. 2016,
    arXiv:1601.06733).
    """

    def __init__(self, width: int, mask: AttentionMask) -> None:
        super().__init__()
        # The scores pass through a (B, T, T, hidden) tensor: a quarter of the width keeps it affordable.
        self.attention = AdditiveAttention(width, width, max(1, width // 4))
        self.mask = mask

    def forward(self, states: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, F) → (B, T, 2 F)
        read = self.attention(states, states, layout, layout, mask=self.mask)
        return torch.cat((states, read.values), dim=-1)


def both_ways(lstm: nn.LSTM, vectors: Tensor, lengths: Tensor) -> Tensor:
    """What a bidirectional ``lstm`` gives for rows (B, T, C) of these ``lengths`` (B,), each for itself: (B, T, F).

    Layer by layer and one way at a time, each row turned round for the way back: what stands at padding means nothing.
    """
    places = torch.arange(vectors.shape[1], device=vectors.device)[None]
    last = lengths[:, None] - 1
    turned = torch.where(places <= last, last - places, places)[..., None]

    def turn(rows: Tensor) -> Tensor:
        return rows.gather(1, turned.expand_as(rows))

    def walk(rows: Tensor, layer: int, way: str) -> Tensor:
        weights = [getattr(lstm, f"{name}_l{layer}{way}") for name in _WEIGHTS]
        rest = rows.new_zeros(1, len(rows), lstm.hidden_size)
        return torch.lstm(rows, (rest, rest), weights, True, 1, 0.0, lstm.training, False, True)[0]

    for layer in range(lstm.num_layers):
        vectors = vectors if layer == 0 else F.dropout(vectors, lstm.dropout, lstm.training)
        back = turn(walk(turn(vectors), layer, "_reverse"))
        vectors = torch.cat((walk(vectors, layer, ""), back), dim=-1)
    return vectors


class RecurrentBackbone(Backbone):
    """Embedding, recurrent layers, a projection back to the width, a norm.

    Padded, packed and single documents give the same vectors: each document is walked through alone. Source:
    Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; Cho et al. 2014, arXiv:1406.1078.
    """

    def __init__(self, settings: RecurrentSettings) -> None:
        super().__init__()
        self.settings = settings
        self.width, self.vocabulary_size = settings.width, settings.vocabulary_size
        self.reads = "both" if settings.bidirectional else "past"
        self.longest_row = None if settings.patches is None else settings.patches.count + 1
        patches = settings.patches
        self.embedding: TokenEmbedding[nn.Embedding] | PatchEmbedding = (
            TokenEmbedding(nn.Embedding(settings.vocabulary_size, settings.width))
            if patches is None
            else PatchEmbedding(patches.features, patches.count, settings.width)
        )
        self.recurrence = CELLS[settings.cell](
            settings.width,
            settings.hidden_width,
            settings.depth,
            batch_first=True,
            bidirectional=settings.bidirectional,
            dropout=settings.dropout
            if settings.depth > 1
            else 0.0,  # torch warns: there is no "between" in one layer
        )
        states = settings.hidden_width * (2 if settings.bidirectional else 1)
        reads_states = settings.attention == "additive"
        mask = AttentionMask(causal=not settings.bidirectional)
        self.read_states = ReadStates(states, mask) if reads_states else None
        self.projection = nn.Linear(states * (2 if reads_states else 1), settings.width, bias=False)
        self.final_norm = build_norm("layer_without_bias", settings.width, 1e-5)

    def embed(self, inputs: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T) → (B, T, C)
        """Vectors of tokens, whose order enters through the recurrence alone, or of patches in their places."""
        return self.embedding(inputs, layout)

    def encode(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:  # (B, T, C) → (B, T, C)
        """Walk through each document by itself."""
        return over_documents(self._walk, embedded, layout)

    def _walk(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:
        states = self._states(embedded, layout)
        if self.read_states is not None:
            states = self.read_states(states, layout)
        return self.final_norm(self.projection(states))

    def _states(self, embedded: Tensor, layout: SequenceLayout) -> Tensor:
        # Rows are padded on the right. Forwards, no real token ever meets padding; backwards, the walk must
        # begin at the last real token, which is what packing is for. On a processor whole rows are twice as fast.
        if layout.uniform or not self.settings.bidirectional:
            return self.recurrence(embedded)[0]
        lengths = layout.real.sum(1)
        if isinstance(self.recurrence, nn.LSTM) and embedded.device.type == "cpu":
            return both_ways(self.recurrence, embedded, lengths)
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = self.recurrence(packed)
        return pad_packed_sequence(states, batch_first=True, total_length=embedded.shape[1])[0]
