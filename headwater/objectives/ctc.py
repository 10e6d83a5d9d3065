"""Connectionist temporal classification: which words a recording holds, without being told when they are said.

Graves et al. 2006, doi:10.1145/1143844.1143891. Shape letters: B recordings, T columns of patches, C width, V
vocabulary, S target tokens.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.data.sequencers import Patches, Tokenizer
from headwater.models.model import Model
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch

HEAD = "tagging"


@dataclass(frozen=True, slots=True)
class SpokenTask(Task):
    """``spoken`` are the tokens of all texts one after another, ``sizes`` (B,) how many belong to each."""

    spoken: Tensor
    sizes: Tensor


class CTC(Objective):
    """-log Σ p(path | recording) over all paths of one token or blank a column that read as the text.

    A path is read by leaving out repetitions, then blanks; the blank is the padding token. A column of patches is a
    stretch of time, and its vector the mean over its patches. A text that no path can say has no part in the loss.
    """

    name = "ctc"
    head = HEAD
    needs = "both"

    def __init__(self, patches: Patches, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.patches, self.tokenizer = patches, tokenizer

    def prepare(self, batch: Batch, draws: Draws) -> SpokenTask:
        """The texts without [CLS] and [SEP]."""
        del draws
        assert batch.targets is not None
        assert batch.target_layout is not None
        inside = batch.target_layout.real & (batch.targets != self.tokenizer.cls)
        inside &= batch.targets != self.tokenizer.sep
        sizes = inside.sum(dim=1)
        return SpokenTask(batch, {self.name: len(sizes)}, batch.targets[inside], sizes)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Nats of every text, summed."""
        assert isinstance(task, SpokenTask)
        nats = self.nats(model, task)
        return (LossTerm(self.name, nats.sum(), len(nats)),)

    def nats(self, model: Model, task: SpokenTask) -> Tensor:
        """-log p(text | recording), 0 where no path can say it: (B,)."""
        scores = self.scores(model, task.batch).transpose(0, 1)  # (T, B, V)
        lengths = torch.full((scores.shape[1],), len(scores))
        # On the CPU: no GPU has a deterministic gradient of it, and the numbers are few.
        nats = F.ctc_loss(
            scores.cpu(),
            task.spoken.cpu(),
            lengths,
            task.sizes.cpu(),
            blank=self.tokenizer.pad,
            reduction="none",
            zero_infinity=True,
        )
        return nats.to(scores.device)

    def scores(self, model: Model, batch: Batch) -> Tensor:
        """log p(token or blank) of every column: (B, T, V)."""
        states = model.encode(batch)[:, 1:]
        columns = states.unflatten(1, (self.patches.rows, self.patches.columns)).mean(dim=1)
        return model.heads[HEAD](columns).float().log_softmax(dim=-1)

    def read(self, scores: Tensor) -> list[list[int]]:
        """The tokens of the most probable path of each recording, (B, T, V) → B lists."""
        paths: list[list[int]] = scores.argmax(dim=-1).tolist()
        blank = self.tokenizer.pad
        return [
            [
                token
                for place, token in enumerate(path)
                if token != blank and (not place or path[place - 1] != token)
            ]
            for path in paths
        ]
