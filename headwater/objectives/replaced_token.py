"""Replaced-token detection: a small model fills gaps plausibly, the model says which words are not the author's.

Clark et al. 2020, arXiv:2003.10555. Shape letters: B rows, T tokens, N places, C width, V vocabulary.
"""

import dataclasses
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models.backbone import Backbone
from headwater.models.heads import HeadSettings, build_head
from headwater.models.model import Model, build_model
from headwater.models.settings import TransformerSettings
from headwater.models.sizes import feed_forward_width
from headwater.nn.initialization import initialize
from headwater.objectives.masked_prediction import MaskedTokens, token_draws
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch

DETECTION_WEIGHT = 50.0
"""One bit a token weighs as much as a few words: the paper's λ."""


@dataclass(frozen=True, slots=True)
class ReplacedTask(Task):
    """``batch`` is the text as it was; ``hidden`` has [MASK] at ``places`` (N,), which ``drawn`` (N,) fill."""

    hidden: Tensor
    places: Tensor
    drawn: Tensor
    ordinary: Tensor  # (B, T): tokens that could have been replaced


class ReplacedToken(Objective):
    """Detect the tokens that a masked-token model of half the width has put in the place of the author's.

    The generator learns to fill a ``share`` of the words; its choices are drawn, so that they are plausible and
    often wrong. It and the detector are thrown away; the backbone is shipped, in ELECTRA's layout with the detector.
    """

    name = "replaced_token"
    own_head = "replaced_token"
    needs = "both"

    def __init__(self, tokenizer: Tokenizer, model: Model, *, share: float = 0.3, seed: int = 0) -> None:
        super().__init__()
        self._hiding = (MaskedTokens(tokenizer, share=share),)  # in a tuple: it has no parameters to keep
        self.generator = build_model(_half(model.backbone), head="masked_tokens", seed=seed)
        self.detector = None
        if self.name not in model.heads:
            self.detector = build_head(model.backbone, HeadSettings(name=self.name))
            initialize(self.detector, seed=seed, name="objective.detector")
        self._special = torch.from_numpy(tokenizer.word_rules.special)

    @property
    def loss_share(self) -> float:
        """The output layer is the generator's, of half the width."""
        return self._hiding[0].share / 2

    def prepare(self, batch: Batch, draws: Draws) -> ReplacedTask:
        """Hide words, and draw a number for each gap that will choose what fills it."""
        hiding = self._hiding[0].eval()
        task = hiding.prepare(batch, draws)
        drawn = token_draws(batch, draws, "what fills a gap")[task.places.numpy()]
        ordinary = ~self._special[batch.inputs] & batch.layout.real
        counts = {"masked_tokens": len(task.places), self.name: int(ordinary.sum())}
        return ReplacedTask(batch, counts, task.batch.inputs, task.places, torch.from_numpy(drawn), ordinary)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(word | visible words) of the generator, and -Σ log p(replaced or not | text) of the model."""
        assert isinstance(task, ReplacedTask)
        words, given = task.batch.inputs.flatten()[task.places], task.batch.inputs.flatten()
        hidden = replace(task.batch, inputs=task.hidden)
        logits = self.generator.heads["masked_tokens"](
            self.generator.encode_places(hidden, task.places)
        ).float()
        filled = given.index_put((task.places,), _chosen(logits.detach(), task.drawn))
        ordinary = task.ordinary.flatten()
        replaced = (filled != given)[ordinary]
        text = replace(task.batch, inputs=filled.view_as(task.batch.inputs))
        detector = self.detector or model.heads[self.name]
        scores = detector(model.encode(text).flatten(0, 1)[ordinary]).float().squeeze(-1)
        detection = F.binary_cross_entropy_with_logits(scores, replaced.float(), reduction="sum")
        right = ((scores > 0) == replaced).sum()
        return (
            LossTerm("masked_tokens", F.cross_entropy(logits, words, reduction="sum"), len(words)),
            LossTerm(self.name, detection, len(replaced), DETECTION_WEIGHT, right),
        )


def _chosen(logits: Tensor, drawn: Tensor) -> Tensor:
    """A word for each gap, drawn from the generator's probabilities: (N, V), (N,) → (N,)."""
    # In whole numbers, whose sums no device may take in an order that gives other bits.
    sums = (logits.softmax(dim=-1) * 2**32).long().cumsum(dim=-1)
    reached = (drawn[:, None] * sums[:, -1:]).long()
    return (sums <= reached).sum(dim=-1).clamp_max(logits.shape[-1] - 1)


def _half(backbone: Backbone) -> TransformerSettings:
    settings = getattr(backbone, "settings", None)
    if not isinstance(settings, TransformerSettings):
        raise SettingsError(
            "replaced_token makes a smaller model of the same kind, which is known for Transformers alone; choose "
            "model.backbone=transformer"
        )
    width = settings.width // 2
    return dataclasses.replace(
        settings,
        width=width,
        num_heads=max(1, settings.num_heads // 2),
        feed_forward_width=feed_forward_width(settings.feed_forward, width),
    )
