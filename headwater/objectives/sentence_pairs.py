"""Two halves of a text side by side, and a question about them that one bit answers."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from headwater.data.tokenizer import Tokenizer
from headwater.models.backbone import Backbone
from headwater.models.convolutional import ConvolutionalBackbone
from headwater.models.heads import HeadSettings, build_head
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.objectives.objective import Guess, LossTerm, Objective, Task
from headwater.objectives.rewriting import Tokens, content_of, documents_of, rewritten, sentence_ends
from headwater.randomness import Draws
from headwater.sequence import Batch

Halves = Sequence[tuple[Tokens, Tokens]]


class SentencePairs(Objective):
    """[CLS] one half [SEP] other half [SEP] → yes or no; the head that answers is thrown away.

    A text is cut at the end of the sentence nearest to its middle, or in the middle where it is one sentence. The
    answer is read from [CLS], as in BERT: what tells it stands beside [CLS] and [SEP], and a mean would drown it. Where
    [CLS] sees its neighbours alone, in a convolutional model, it is the mean all the same.
    """

    needs = "both"

    def __init__(self, tokenizer: Tokenizer, backbone: Backbone, *, seed: int = 0) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self._ends = sentence_ends(tokenizer)
        sees_all = not isinstance(backbone, ConvolutionalBackbone)
        pooling = "first" if sees_all else "default"
        self.answer = build_head(backbone, HeadSettings(name="classification", classes=2, pooling=pooling))
        initialize(self.answer, seed=seed, name=f"objective.{self.name}")

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Cut every text in two, and ask."""
        contents = [content_of(document, self.tokenizer) for document in documents_of(batch)]
        halves = [self._cut(content) for content in contents]
        asked, labels = self.ask(halves, draws.uniform(self.name, 2))
        cls, sep = [self.tokenizer.cls], [self.tokenizer.sep]
        texts = [np.concatenate([cls, first, sep, second, sep]).astype(np.int64) for first, second in asked]
        changed = rewritten(batch, texts, self.tokenizer.pad)
        return Task(replace(changed, labels=torch.from_numpy(labels)), {self.name: len(labels)})

    @abstractmethod
    def ask(
        self, halves: Halves, numbers: NDArray[np.float64]
    ) -> tuple[list[tuple[Tokens, Tokens]], NDArray[np.int64]]:
        """The halves as they are shown, and the answer to each; ``numbers`` are two draws a text."""

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """Yes or no."""
        del task
        return {self.name: Guess(math.log(2), 0.5)}

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(answer | halves)."""
        labels = task.batch.labels
        assert labels is not None
        logits = self.answer(model.encode(task.batch), task.batch.layout).float()
        right = (logits.argmax(dim=-1) == labels).sum()
        total = F.cross_entropy(logits, labels, reduction="sum")
        return (LossTerm(self.name, total, len(labels), right=right),)

    def _cut(self, content: Tokens) -> tuple[Tokens, Tokens]:
        middle = len(content) // 2
        ends = np.flatnonzero(self._ends[content[:-1]]) + 1
        place = int(ends[np.argmin(np.abs(ends - middle))]) if len(ends) else middle
        return content[:place], content[place:]
