"""Self-distillation: from a text with gaps, predict what a slow copy of the model makes of the whole text.

Baevski et al. 2022 (data2vec), arXiv:2202.03555. Shape letters: B rows, T tokens, N places, C width.
"""

from collections.abc import Mapping

from torch import nn

from headwater.data.tokenizer import Tokenizer
from headwater.models.backbone import Backbone
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.masked_prediction import MaskedTask, MaskedTokens
from headwater.objectives.objective import Guess, LossTerm, Objective, Task
from headwater.objectives.slow_teacher import SlowTeacher
from headwater.randomness import Draws
from headwater.sequence import Batch


class SelfDistillation(Objective):
    """The student reads the text with a ``share`` of its words hidden, the teacher (``SlowTeacher``) the whole text.

    The teacher and the map from the student's state to the teacher's are thrown away.
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
        self._hiding = (MaskedTokens(tokenizer, share=share),)
        self.teacher = SlowTeacher(backbone, decay=decay, layers=layers)
        self.prediction = nn.Linear(backbone.width, backbone.width)
        initialize(self.prediction, seed=seed, name="objective.prediction")

    def prepare(self, batch: Batch, draws: Draws) -> MaskedTask:
        """Hide words; ``targets`` are the words themselves, from which the teacher's text is made again."""
        task = self._hiding[0].eval().prepare(batch, draws)
        return MaskedTask(task.batch, {self.name: len(task.places)}, task.places, task.targets)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Σ over hidden tokens of the mean over features of (prediction − target)²."""
        assert isinstance(task, MaskedTask)
        whole = task.batch.inputs.flatten().index_put((task.places,), task.targets).view_as(task.batch.inputs)
        predicted = self.prediction(model.encode_places(task.batch, task.places)).float()
        errors = (
            (predicted - self.teacher.targets(whole, task.batch.layout, task.places)).square().mean(dim=-1)
        )
        return (LossTerm(self.name, errors.sum(), len(task.places)),)

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """The mean of the teacher's states."""
        del task
        return {self.name: Guess(1.0)}

    def after_step(self, model: Model) -> None:
        """The teacher follows."""
        self.teacher.follow(model)
