"""A model: one backbone and the heads that are shipped with it."""

from typing import Any

import torch
from torch import Tensor, nn

from headwater.models.backbone import Backbone, EncoderDecoder
from headwater.models.building import build_backbone
from headwater.models.heads import HeadSettings, build_head, usual_head
from headwater.models.settings import BackboneSettings
from headwater.models.transformer import TransformerBackbone, TransformerEncoderDecoder
from headwater.models.two_towers import TwoTowers
from headwater.nn.embedding import PatchEmbedding
from headwater.nn.heads import SequenceHead, TokenHead
from headwater.nn.initialization import initialize
from headwater.nn.positions import grid_sinusoids
from headwater.sequence import Batch


class Model(nn.Module):
    """A backbone and its heads by name, those of ``headwater.models.heads.HEADS``.

    What training throws away (a teacher, a decoder, a projection) is not here: the objective owns it.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict()
        self.head_settings: dict[str, HeadSettings] = {}

    def encode(self, batch: Batch) -> Tensor:
        """Hidden states of a batch: (B, T, C)."""
        return self.backbone(batch.inputs, batch.layout)

    def features(self, head: str, batch: Batch) -> Tensor:
        """What the last map of a head that gives one answer a row reads: (B, F)."""
        if isinstance(self.backbone, TwoTowers):
            return self.backbone.features(batch)
        module = self.heads[head]
        assert isinstance(module, SequenceHead)
        return module.features(self.encode(batch), batch.layout)

    def answer(self, head: str, batch: Batch) -> Tensor:
        """The answer of a head to each row, of pairs to both sides together: (B, K)."""
        if isinstance(self.backbone, TwoTowers):
            return self.heads[head](self.backbone.features(batch))
        return self.heads[head](self.encode(batch), batch.layout)

    def encode_places(self, batch: Batch, places: Tensor) -> Tensor:
        """Hidden states of some tokens alone, ``places`` (N,) of the flattened batch: (N, C)."""
        backbone = self.backbone
        return backbone.encode_places(backbone.embed(batch.inputs, batch.layout), batch.layout, places)

    def decode(self, batch: Batch) -> Tensor:
        """Hidden states of a batch's targets, each of which has read the source and its own past: (B, T, C)."""
        backbone = self.backbone
        assert isinstance(backbone, EncoderDecoder), "decoding needs a model with an encoder and a decoder"
        assert batch.targets is not None
        assert batch.target_layout is not None
        embedded = backbone.embed_target(batch.targets, batch.target_layout)
        return backbone.decode(embedded, batch.target_layout, self.encode(batch), batch.layout)

    def add_head(self, name: str, *, seed: int | None = None, **options: Any) -> None:
        """Give the model a head; ``options`` are those of ``HeadSettings`` where it is not to be the usual one.

        Its first weights depend on ``seed`` and its name alone (None: as torch drew them), those of an output matrix
        on the table of tokens.
        """
        settings = usual_head(self.backbone, name, **options)
        head = build_head(self.backbone, settings)
        self.heads[name], self.head_settings[name] = head, settings
        if seed is not None:
            initialize(head, seed=seed, name=f"heads.{name}")
            self.begin_outputs_as_tables()

    @torch.no_grad()
    def begin_outputs_as_tables(self) -> None:
        """Let an output matrix that is a head's own begin as the table of tokens, as a tied one is and remains.

        Like words then begin with like scores, and the first loss is ln(vocabulary).
        """
        for head in self.heads.values():
            if isinstance(head, TokenHead) and isinstance(head.decoder, nn.Linear):
                head.decoder.weight.copy_(self.backbone.token_embedding.weight)


def build_model(settings: BackboneSettings, *, head: str | None = None, seed: int, **options: Any) -> Model:
    """A fresh model with at most one head (``options``: ``HeadSettings``), its weights a function of ``seed``."""
    model = Model(build_backbone(settings, seed=seed))
    if head is not None:
        model.add_head(head, seed=seed, **options)
    return model


@torch.no_grad()
def begin_with_grid(model: Model) -> None:
    """Let the learnt positions of fresh Transformers of pictures know which patches are neighbours; others stay."""
    for part in model.backbone.modules():
        if not isinstance(part, TransformerBackbone | TransformerEncoderDecoder):
            continue
        settings = part.settings if isinstance(part, TransformerBackbone) else part.settings.encoder
        if (patches := settings.patches) is not None and isinstance(part.embedding, PatchEmbedding):
            table = part.embedding.positions.table.weight
            table[1:] = grid_sinusoids(patches.rows, patches.columns, settings.width, slices=patches.slices)
