"""Image generation: predict the next code of a picture from those above and to the left of it.

Parmar et al. 2018 (order), arXiv:1802.05751; van den Oord et al. 2017 (codes in place of pixels), arXiv:1711.00937.
Shape letters: B pictures, N patches, V codes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from headwater.data.sequencers.codes import CodedPatches
from headwater.models.generation import Sampling, Watch, draw
from headwater.models.model import Model
from headwater.objectives.cross_entropy import summed_cross_entropy
from headwater.objectives.next_token import successors
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.picture_objective import PictureObjective, PictureTask
from headwater.randomness import Draws
from headwater.sequence import Batch

_UNSEEN = 0.5
"""Added to the count of each code, so that none is impossible."""
USUAL = Sampling(temperature=1.0, top_p=0.95)
"""How the pictures of a report are drawn."""


@dataclass(frozen=True, slots=True)
class CodesTask(PictureTask):
    """Nothing is hidden: every code is predicted from those before it."""


class ImageGeneration(PictureObjective):
    """Σ over codes of -log p(code | the codes before it), line by line.

    ``image_generation_guessed`` is the same for whoever knows only how often each code occurs; it weighs nothing.
    """

    name = "image_generation"
    lines = ("drawn", "drawn", "true, in codes")
    head = "next_token"
    needs = "past"

    def __init__(self, patches: CodedPatches, sample: Tensor) -> None:
        super().__init__()
        self.patches = patches
        counts = torch.bincount(patches.codes(sample).flatten(), minlength=patches.beginning) + _UNSEEN
        self.register_buffer("surprise", -(counts / counts.sum()).log())
        self.surprise: Tensor

    @property
    def loss_share(self) -> float:
        """All codes."""
        return 1.0

    def prepare(self, batch: Batch, draws: Draws) -> CodesTask:
        """Each code but the beginning is asked for."""
        del draws
        count = batch.inputs.numel() - len(batch.inputs)
        return CodesTask(batch, {self.name: count, f"{self.name}_guessed": count})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Cross-entropy over the codes, and that of their frequencies."""
        places, targets = successors(task.batch.inputs, task.batch.layout)
        total = summed_cross_entropy(
            model.heads["next_token"],
            model.encode_places(task.batch, places),
            targets,
            vocabulary_size=model.backbone.vocabulary_size,
        )
        guessed = self.surprise[targets].sum()
        return (
            LossTerm(self.name, total, len(targets)),
            LossTerm(f"{self.name}_guessed", guessed, len(targets), weight=0.0),
        )

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """Two lines of drawn pictures, and true ones in codes."""
        assert isinstance(task, CodesTask)
        true = task.first(count).batch.inputs[:, 1:]
        codes = drawn_codes(model, self.patches, 2 * len(true), USUAL)
        return (*self.patches.decoded(codes).split(len(true)), self.patches.decoded(true))


def drawn_codes(
    model: Model, patches: CodedPatches, count: int, sampling: Sampling, watch: Watch | None = None
) -> Tensor:
    """Codes of ``count`` new pictures, (count, N); ``watch`` is told how many are drawn."""
    codes = draw(model, patches.beginning, length=patches.count, count=count, sampling=sampling, watch=watch)
    return codes.clamp(
        max=patches.beginning - 1
    )  # a model that has learnt nothing may say the beginning again
