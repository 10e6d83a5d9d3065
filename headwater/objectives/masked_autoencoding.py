"""Masked autoencoding: read a few patches of a picture, paint the others.

He et al. 2022, arXiv:2111.06377. Shape letters: B pictures, N patches, S patches in sight, P numbers of a patch, C
width.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.models.settings import TransformerSettings
from headwater.models.transformer import build_blocks, build_final_norm
from headwater.nn.initialization import initialize
from headwater.nn.positions import grid_sinusoids
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch, SequenceLayout

DECODER_DEPTH = 2
NARROWEST_DECODER = 64
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class PaintingTask(Task):
    """``seen`` (B, 1 + S) are the positions in sight, [CLS] first; ``hidden`` (B, N − S) those to be painted."""

    seen: Tensor
    hidden: Tensor

    @property
    def tokens(self) -> int:
        """Positions that the encoder reads."""
        return self.seen.numel()


class MaskedAutoencoding(Objective):
    """Σ over hidden patches of the mean squared error to the patch, its numbers at mean 0 and deviation 1.

    The encoder sees (1 − ``share``) of the patches and spends nothing on the others; a small decoder, which is thrown
    away, reads what it made of them, with one learnt vector wherever a patch is missing. Painting every hidden patch in
    its own mean colour has an error of 1.
    """

    name = "masked_autoencoding"
    needs = "both"
    modality = "image"

    def __init__(self, settings: TransformerSettings, *, share: float = 0.75, seed: int = 0) -> None:
        super().__init__()
        patches = settings.patches
        if patches is None:
            raise SettingsError(
                "masked_autoencoding paints patches, and this model reads none; give pictures"
            )
        kept = round(patches.count * (1.0 - share))
        if not 0.0 < share < 1.0 or not 0 < kept < patches.count:
            raise SettingsError(
                f"objective.share = {share} of {patches.count} patches leaves {kept} in sight; expected a share "
                "between 0 and 1 that leaves some of both"
            )
        self.share, self.count, self.kept = share, patches.count, kept
        width = max(NARROWEST_DECODER, settings.width // 2)
        decoder = replace(
            settings,
            width=width,
            depth=DECODER_DEPTH,
            num_heads=max(1, width // 32),
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
        grid = grid_sinusoids(patches.rows, patches.columns, width)
        self.register_buffer("positions", torch.cat((torch.zeros(1, width), grid)), persistent=False)

    def prepare(self, batch: Batch, draws: Draws) -> PaintingTask:
        """Choose the patches in sight, as many of every picture; the model is handed them alone."""
        order = np.argsort(draws.uniform("patches in sight", self.count), axis=1) + 1
        seen = torch.from_numpy(np.sort(order[:, : self.kept], axis=1))
        hidden = torch.from_numpy(np.sort(order[:, self.kept :], axis=1))
        seen = torch.cat((seen.new_zeros(len(seen), 1), seen), dim=1)
        return PaintingTask(batch, {self.name: hidden.numel()}, seen, hidden)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The error of the hidden patches alone."""
        assert isinstance(task, PaintingTask)
        painted = self.painted(model, task)
        errors = (painted.float() - _even(_taken(task.batch.inputs, task.hidden))).square().mean(dim=-1)
        return (LossTerm(self.name, errors.sum(), errors.numel()),)

    def painted(self, model: Model, task: PaintingTask) -> Tensor:
        """The hidden patches as the model paints them, each at mean 0 and deviation 1: (B, N − S, P)."""
        backbone, rows = model.backbone, len(task.seen)
        layout = SequenceLayout(torch.zeros_like(task.seen), task.seen, uniform=True)
        states = backbone.encode(backbone.embed(_taken(task.batch.inputs, task.seen), layout), layout)
        entered = self.entrance(states)
        canvas = self.missing.weight[0].to(entered.dtype).expand(rows, self.count + 1, -1)
        canvas = canvas.scatter(1, task.seen[..., None].expand_as(entered), entered) + self.positions
        whole = SequenceLayout.dense(rows, self.count + 1, device=canvas.device)
        for block in self.blocks:
            canvas = block(canvas, whole)
        return self.exit(self.norm(_taken(canvas, task.hidden)))

    @torch.no_grad()
    def pictures(self, model: Model, task: PaintingTask) -> tuple[Tensor, Tensor, Tensor]:
        """What was shown, what was painted and what it was, patches (B, N, P) each; what was hidden is shown as zeros.

        A painted patch gets the mean and the deviation of the true one, which the task does not ask for.
        """
        true = task.batch.inputs[:, 1:]
        original = _taken(task.batch.inputs, task.hidden)
        mean, deviation = _mean_and_deviation(original)
        found = self.painted(model, task).float() * deviation + mean
        places = (task.hidden - 1)[..., None].expand_as(found)
        return true.scatter(1, places, 0.0), true.scatter(1, places, found), true


def _taken(values: Tensor, places: Tensor) -> Tensor:
    """Some positions of each row: (B, T, C) and (B, S) → (B, S, C)."""
    return values.gather(1, places[..., None].expand(-1, -1, values.shape[-1]))


def _even(patches: Tensor) -> Tensor:
    mean, deviation = _mean_and_deviation(patches)
    return (patches - mean) / deviation


def _mean_and_deviation(patches: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return mean, (variance + _EPSILON).sqrt()
