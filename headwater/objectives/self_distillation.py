"""Self-distillation: from a text with gaps, predict what a slow copy of the model makes of the whole text.

Baevski et al. 2022 (data2vec), arXiv:2202.03555. Shape letters: B rows, T tokens, N places, C width.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.masked_prediction import MaskedTask, MaskedTokens
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


class SelfDistillation(Objective):
    """The student reads the text with a ``share`` of its words hidden, the teacher the whole text.

    Target of a hidden token: the mean over the last ``layers`` blocks of the teacher's normalised states. The teacher
    follows the student, θ' ← d·θ' + (1 − d)·θ with d = min(``decay``, (1 + k) / (10 + k)) after step k; it and the
    map from student to target are thrown away.
    """

    name = "self_distillation"
    needs = "both"

    def __init__(
        self,
        tokenizer: Tokenizer,
        backbone: Backbone,
        *,
        share: float = 0.3,
        decay: float = 0.999,
        layers: int = 3,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0.0 <= decay < 1.0:
            raise SettingsError(f"decay = {decay} of the teacher; expected 0 to below 1, like 0.999")
        self._tokenizer = tokenizer
        self._hiding = (MaskedTokens(tokenizer, share=share),)
        self.decay, self.layers = decay, layers
        self.teacher = copy.deepcopy(backbone).requires_grad_(False)
        self.prediction = nn.Linear(backbone.width, backbone.width)
        initialize(self.prediction, seed=seed, name="objective.prediction")
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def prepare(self, batch: Batch, draws: Draws) -> MaskedTask:
        """Hide words; ``targets`` are the words themselves, from which the teacher's text is made again."""
        task = self._hiding[0].eval().prepare(batch, draws)
        return MaskedTask(task.batch, {self.name: len(task.places)}, task.places, task.targets)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Σ over hidden tokens of the mean over features of (prediction − target)²."""
        assert isinstance(task, MaskedTask)
        predicted = self.prediction(model.encode_places(task.batch, task.places)).float()
        errors = (predicted - self._targets(task)).square().mean(dim=-1)
        return (LossTerm(self.name, errors.sum(), len(task.places)),)

    @torch.no_grad()
    def after_step(self, model: Model) -> None:
        """The teacher takes a small step towards the student."""
        count = int(self.steps)
        weight = 1.0 - min(self.decay, (1 + count) / (10 + count))
        teacher: list[Tensor] = [parameter.data for parameter in self.teacher.parameters()]
        student: list[Tensor] = [parameter.data for parameter in model.backbone.parameters()]
        torch._foreach_lerp_(teacher, student, weight)  # pyright: ignore[reportPrivateImportUsage, reportPrivateUsage]
        self.steps += 1

    @torch.no_grad()
    def _targets(self, task: MaskedTask) -> Tensor:  # (N, C)
        self.teacher.eval()
        whole = task.batch.inputs.flatten().index_put((task.places,), task.targets).view_as(task.batch.inputs)
        states = self.teacher.layers(self.teacher.embed(whole, task.batch.layout), task.batch.layout)
        chosen = [state.flatten(0, 1)[task.places].float() for state in states[-self.layers :]]
        width = (chosen[0].shape[-1],)
        mean = torch.stack([F.layer_norm(state, width) for state in chosen]).mean(dim=0)
        return F.layer_norm(mean, width)
