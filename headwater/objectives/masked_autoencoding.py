"""Masked autoencoding: read a few patches of a picture, paint the others.

He et al. 2022, arXiv:2111.06377. Shape letters: B pictures, N patches, S patches in sight, P numbers of a patch, C
width.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from headwater.models.model import Model
from headwater.models.settings import TransformerSettings
from headwater.models.transformer import build_blocks, build_final_norm
from headwater.nn.initialization import initialize
from headwater.nn.positions import grid_sinusoids
from headwater.objectives.hiding_patches import HidingTask, taken
from headwater.objectives.painting import Painting, patches_of
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

DECODER_DEPTH = 2
NARROWEST_DECODER = 64


@dataclass(frozen=True, slots=True)
class FewSeen(HidingTask):
    """A task of which the encoder reads what is in sight alone."""

    @property
    def tokens(self) -> int:
        """Positions that the encoder reads."""
        return self.seen.numel()


class MaskedAutoencoding(Painting):
    """The encoder sees (1 − ``share``) of the patches and spends nothing on the others.

    A small decoder, which is thrown away, reads what it made of them, with one learnt vector wherever a patch is
    missing, and paints. The error is that of every painter (``Painting``).
    """

    name = "masked_autoencoding"

    def __init__(self, settings: TransformerSettings, *, share: float = 0.75, seed: int = 0) -> None:
        super().__init__(settings, share)
        patches = patches_of(settings, self.name)
        width = max(NARROWEST_DECODER, settings.width // 64 * 32)
        decoder = replace(
            settings,
            width=width,
            depth=DECODER_DEPTH,
            num_heads=width // 32,
            feed_forward_width=4 * width,
            residual_dropout=0.0,
            embedding_dropout=0.0,
        )
        self.entrance = nn.Linear(settings.width, width)
        self.missing = nn.Embedding(1, width)
        self.blocks = build_blocks(decoder)
        self.norm = build_final_norm(decoder)
        self.exit = nn.Linear(width, patches.features)
        initialize(self, seed=seed, name="objective")
        self.positions: Tensor
        grid = grid_sinusoids(patches.rows, patches.columns, width, slices=patches.slices)
        self.register_buffer("positions", torch.cat((torch.zeros(1, width), grid)), persistent=False)

    def prepare(self, batch: Batch, draws: Draws) -> FewSeen:
        """Choose the patches in sight; the model is handed them alone."""
        task = super().prepare(batch, draws)
        return FewSeen(task.batch, task.counts, task.seen, task.hidden)

    def painted(self, model: Model, task: HidingTask) -> Tensor:
        """The hidden patches from those in sight: (B, N − S, P)."""
        backbone, rows = model.backbone, len(task.seen)
        layout = SequenceLayout(torch.zeros_like(task.seen), task.seen, uniform=True)
        states = backbone.encode(backbone.embed(taken(task.batch.inputs, task.seen), layout), layout)
        entered = self.entrance(states)
        canvas = self.missing.weight[0].to(entered.dtype).expand(rows, self.count + 1, -1)
        canvas = canvas.scatter(1, task.seen[..., None].expand_as(entered), entered) + self.positions
        whole = SequenceLayout.dense(rows, self.count + 1, device=canvas.device)
        for block in self.blocks:
            canvas = block(canvas, whole)
        return self.exit(self.norm(taken(canvas, task.hidden)))


class MaskedSpectrogram(MaskedAutoencoding):
    """Masked autoencoding of what a recording sounds like. Source: Huang et al. 2022, arXiv:2207.06405."""

    name = "masked_spectrogram"
