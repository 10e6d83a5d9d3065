"""A model that recommends: where a chosen item stands among all, and which ten stand highest.

Shape letters: N histories, B of them at once, V items, C width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.readers.histories import item_name, items_in
from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError
from headwater.evaluation.metrics.ranking import PLACES, Standing
from headwater.evaluation.recommenders import without_own
from headwater.objectives import NextItem
from headwater.run.reading import Reader
from headwater.sequence import Batch

Integers = NDArray[np.int64]
_SCORES_AT_ONCE = 1 << 25
"""Scores held at a time: 128 MiB."""


class Histories(NamedTuple):
    """Histories as numbers of items; ``unknown`` (N,) says how many items of each the vocabulary does not know."""

    items: Sequence[Integers]
    unknown: Integers

    @classmethod
    def of(cls, histories: Sequence[str], tokenizer: Tokenizer) -> Self:
        """Item number 0 is the first word of the vocabulary; what is not in it is skipped."""
        numbers = [
            tokens.astype(np.int64) - first_item(tokenizer)
            for tokens in tokenizer.encode_batch(list(histories))
        ]
        known = [history[history >= 0] for history in numbers]
        unknown = [len(history) - len(rest) for history, rest in zip(numbers, known, strict=True)]
        return cls(known, np.array(unknown, np.int64))


class Questions(NamedTuple):
    """What was known of each user, and what they chose next (−1: an item that the vocabulary does not know)."""

    known: Histories
    chosen: Integers

    @classmethod
    def of(cls, histories: Sequence[str], tokenizer: Tokenizer) -> Self:
        """The last event of each history is asked for; each has at least two."""
        parts = [items_in(history) for history in histories]
        known = Histories.of([" ".join(part[:-1]) for part in parts], tokenizer)
        last = Histories.of([part[-1] for part in parts], tokenizer).items
        return cls(known, np.array([item[0] if len(item) else -1 for item in last], np.int64))

    @property
    def had_before(self) -> int:
        """How many chose what stands in their history already."""
        return sum(
            bool((history == item).any()) for history, item in zip(self.known.items, self.chosen, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Recommending:
    """A reader of histories that says what follows them, from all items but those of the history itself."""

    reader: Reader

    def __post_init__(self) -> None:
        if self.reader.tokenizer.unknown is None:
            raise BadDataError(
                "tokenizer.json holds the parts of words and no items; restore the file, or make the run again"
            )

    @property
    def items(self) -> int:
        """How many items can be recommended: V."""
        return self.reader.tokenizer.size - first_item(self.reader.tokenizer)

    def judged(self, questions: Questions) -> tuple[Standing, NDArray[np.float32]]:
        """Where the chosen items stand, and −ln p(chosen | history) of each (N,); NaN for items not known."""

        def judge(scores: Tensor, rows: Sequence[int]) -> Tensor:
            chosen = questions.chosen[rows]
            own = scores[torch.arange(len(rows)), torch.from_numpy(chosen)]
            losses = np.where(chosen < 0, np.nan, (scores.logsumexp(dim=1) - own).numpy())
            had = [questions.known.items[row] for row in rows]
            found = Standing.of(without_own(scores.numpy(), had), chosen)
            return torch.from_numpy(np.stack([found.ahead, found.level, losses], axis=1))

        found = self._of_each(questions.known, judge)
        return Standing(found[:, 0].astype(np.int64), found[:, 1].astype(np.int64)), found[:, 2]

    def best(self, histories: Histories) -> list[list[dict[str, Any]]]:
        """The ten most probable items for each history; the probabilities of all that may be recommended sum to 1."""

        def choose(scores: Tensor, rows: Sequence[int]) -> Tensor:
            without_own(scores.numpy(), [histories.items[row] for row in rows])
            probabilities, places = scores.softmax(dim=1).topk(min(PLACES, self.items))
            return torch.cat([places.double(), probabilities.double()], dim=1)

        if not histories.items:
            return []
        found = self._of_each(histories, choose)
        numbers, probabilities = np.split(found, 2, axis=1)
        return [self._named(*row) for row in zip(numbers, probabilities, strict=True)]

    def _named(
        self, numbers: NDArray[np.float32], probabilities: NDArray[np.float32]
    ) -> list[dict[str, Any]]:
        first, decode = first_item(self.reader.tokenizer), self.reader.tokenizer.decode
        return [
            {"item": item_name(decode([int(number) + first])), "probability": round(float(probability), 6)}
            for number, probability in zip(numbers, probabilities, strict=True)
            if probability > 0
        ]

    def _of_each(
        self, histories: Histories, answer: Callable[[Tensor, Sequence[int]], Tensor]
    ) -> NDArray[np.float32]:
        """What ``answer`` makes of the scores (B, V) of some histories, in the order of all."""
        model, tokenizer = self.reader.model, self.reader.tokenizer
        objective, first = NextItem(tokenizer), first_item(tokenizer)
        room = self.reader.length - 2
        step = max(1, _SCORES_AT_ONCE // tokenizer.size)

        def answered(batch: Batch) -> Tensor:
            states = objective.states(model, batch)
            rows = batch.items.tolist()
            parts: list[Tensor] = []
            for start in range(0, len(rows), step):
                scores = model.heads[objective.name](states[start : start + step])[:, first:]
                parts.append(answer(scores.float().cpu().contiguous(), rows[start : start + step]))
            return torch.cat(parts)

        return self.reader.of_every_row(answered, [history[-room:] + first for history in histories.items])


def first_item(tokenizer: Tokenizer) -> int:
    """The token of item number 0: behind [UNK], the last of the special ones."""
    assert tokenizer.unknown is not None
    return tokenizer.unknown + 1
