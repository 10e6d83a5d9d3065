"""Sequences of one length, drawn token by token. Shape letters: B rows, T tokens."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from headwater.models.generation.sampling import Sampling
from headwater.models.generation.writer import Prompt, writer_for
from headwater.models.model import Model

Watch = Callable[[int], None]
ROWS = 64
"""Sequences drawn at a time."""


@torch.no_grad()
def draw(
    model: Model,
    beginning: int,
    *,
    length: int,
    count: int,
    sampling: Sampling,
    watch: Watch | None = None,
) -> Tensor:
    """``count`` sequences of ``length`` tokens that follow the token ``beginning``: (count, length).

    ``watch`` is told how many are drawn.
    """
    was_training = model.training
    model.eval()
    found: list[Tensor] = []
    for first in range(0, count, ROWS):
        items = list(range(first, min(first + ROWS, count)))
        prompt = Prompt(np.array([beginning], np.int64))
        writer, logits = writer_for(model, [prompt] * len(items), room=length, padding=beginning)
        rows = torch.zeros(len(items), 0, dtype=torch.long, device=logits.device)
        for step in range(length):
            chosen = sampling.choose(logits, rows.tolist(), items, step)
            rows = torch.cat((rows, chosen.to(rows.device)[:, None]), dim=1)
            if step + 1 < length:
                logits = writer.feed(rows[:, -1:])
        found.append(rows)
        if watch is not None:
            watch(first + len(items))
    model.train(was_training)
    return torch.cat(found)
