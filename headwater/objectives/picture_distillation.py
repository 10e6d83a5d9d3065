"""Self-distillation of pictures, recordings and clips: from some patches, predict what a slow copy of the model makes
of all of them; of a clip the same places are hidden in every frame.

Baevski et al. 2022 (data2vec), arXiv:2202.03555. Shape letters: B pictures, N patches, P numbers of a patch, C width.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from headwater.data.sequencers.patches import Patches
from headwater.models.backbone import Backbone
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.hiding_patches import Hiding, HidingTask, hidden_places, hidden_states
from headwater.objectives.objective import Guess, LossTerm, Task
from headwater.objectives.picture_objective import NEAREST_LINES, PictureObjective, nearest
from headwater.objectives.slow_teacher import SlowTeacher
from headwater.randomness import Draws
from headwater.sequence import Batch


class PictureDistillation(PictureObjective):
    """The student reads the picture with a ``share`` of its patches hidden, the teacher (``SlowTeacher``) all of it.

    The error is a share of the variance of the teacher's states: predicting their mean costs 1. The teacher, the
    vector of what is hidden and the map from the student's state to the teacher's are thrown away.
    """

    name = "self_distillation"
    lines = NEAREST_LINES

    def __init__(
        self, patches: Patches, backbone: Backbone, *, share: float = 0.6, decay: float = 0.999, seed: int = 0
    ) -> None:
        super().__init__()
        self.hiding = Hiding(patches.count, share, slices=patches.slices)
        self.teacher = SlowTeacher(backbone, decay=decay)
        self.missing = nn.Embedding(1, backbone.width)
        self.prediction = nn.Linear(backbone.width, backbone.width)
        for name in ("missing", "prediction"):
            initialize(self.get_submodule(name), seed=seed, name=f"objective.{name}")

    def prepare(self, batch: Batch, draws: Draws) -> HidingTask:
        """Hide patches of each picture."""
        return self.hiding.of(batch, draws, self.name)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Σ over hidden patches of the mean over features of (prediction − target)²."""
        assert isinstance(task, HidingTask)
        predicted = self.prediction(hidden_states(model, task, self.missing)).float()
        targets = self.teacher.targets(task.batch.inputs, task.batch.layout, hidden_places(task))
        errors = (predicted - targets).square().mean(dim=-1)
        return (LossTerm(self.name, errors.sum(), len(errors)),)

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """The mean of the teacher's states."""
        del task
        return {self.name: Guess(1.0)}

    def after_step(self, model: Model) -> None:
        """The teacher follows."""
        self.teacher.follow(model)

    @torch.no_grad()
    def pictures(self, model: Model, task: Task, count: int) -> tuple[Tensor, ...]:
        """Pictures, and below each those whose mean state is nearest."""
        return nearest(model.encode(task.batch).mean(dim=1), task.batch.inputs[:, 1:], count)
