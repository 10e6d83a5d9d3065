"""Sentence contrast: two views of a text are nearer to each other than to the views of any other text.

Gao et al. 2021 (views by dropout), arXiv:2104.08821; Chen et al. 2020 (projection, loss), arXiv:2002.05709. Shape
letters: B texts, T tokens, C width.
"""

from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.nn.pooling import MeanPooling
from headwater.objectives.contrast import Projection, TwoViews, side_by_side
from headwater.objectives.objective import Task
from headwater.objectives.rewriting import documents_of, rewritten
from headwater.randomness import Draws
from headwater.sequence import Batch


class SentenceContrast(TwoViews):
    """-log of the share of a text's other view among all views: exp(cos/τ) / Σ exp(cos/τ), τ = ``temperature``.

    Each view leaves out another ``share`` of the tokens and, where the model has dropout, other features. The
    projection in front of the cosine is thrown away.
    """

    name = "sentence_contrast"

    def __init__(
        self,
        tokenizer: Tokenizer,
        width: int,
        *,
        share: float = 0.3,
        temperature: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0.0 <= share < 1.0:
            raise SettingsError(
                f"objective.share = {share}: the share of tokens left out must lie between 0 and 1"
            )
        self.tokenizer, self.share, self.temperature = tokenizer, share, temperature
        self.pooling = MeanPooling()
        self.projection = Projection(width)
        initialize(self.projection, seed=seed, name="objective.projection")

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Two views of every text, the first ones before the second ones."""
        documents = documents_of(batch)
        size = max(map(len, documents))
        views = [
            document[(numbers[: len(document)] >= self.share) | self.tokenizer.word_rules.special[document]]
            for purpose in ("first view", "second view")
            for document, numbers in zip(documents, draws.uniform(purpose, size), strict=True)
        ]
        changed = rewritten(batch, views, self.tokenizer.pad)
        return Task(changed, {self.name: len(views)})

    def vectors(self, model: Model, task: Task) -> Tensor:
        """Both views of every text behind the projection."""
        pooled = self.pooling(model.encode(task.batch), task.batch.layout)
        return side_by_side(self.projection(pooled))
