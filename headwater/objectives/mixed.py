"""Several pretext tasks in one run: each makes its own task of every batch, and their losses are added by weight."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.objectives.objective import Guess, LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


@dataclass(frozen=True, slots=True)
class MixedTask(Task):
    """``parts`` are the tasks by objective; ``batch`` is what all of them were made from."""

    parts: Mapping[str, Task]

    def to(self, device: torch.device) -> "MixedTask":
        """The same tasks with their tensors on ``device``."""
        parts = {name: part.to(device) for name, part in self.parts.items()}
        return replace(self, batch=self.batch.to(device), parts=parts)


class Mixed(Objective):
    """Σ weight · loss over objectives that train one model."""

    name = "mixed"

    def __init__(self, parts: Mapping[str, Objective], weights: Mapping[str, float]) -> None:
        super().__init__()
        wrong = [name for name, weight in weights.items() if not 0.0 < weight < float("inf")]
        if wrong:
            raise SettingsError(
                f"{wrong[0]}={weights[wrong[0]]} is no weight; expected a number above 0, as in "
                "--objective masked_tokens=1,sentence_order=0.3"
            )
        self.parts = nn.ModuleDict(parts)
        self.weights = dict(weights)

    def prepare(self, batch: Batch, draws: Draws) -> MixedTask:
        """One task of each objective."""
        parts = {name: part.prepare(batch, draws) for name, part in self._objectives.items()}
        counts: dict[str, int] = {}
        for name, part in parts.items():
            counts |= {self._own(name, term): count for term, count in part.counts.items()}
        return MixedTask(batch, counts, parts)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The terms of every objective."""
        assert isinstance(task, MixedTask)
        return tuple(
            replace(term, name=self._own(name, term.name), weight=term.weight * self.weights[name])
            for name, part in self._objectives.items()
            for term in part.loss(model, task.parts[name])
        )

    def only(self, names: Collection[str]) -> Objective:
        """Some of the objectives, the very same; one alone without its weight."""
        parts = {name: part for name, part in self._objectives.items() if name in names}
        return Mixed(parts, self.weights) if len(parts) > 1 else next(iter(parts.values()))

    @property
    def loss_share(self) -> float:
        """All output layers together."""
        return sum(part.loss_share for part in self._objectives.values())

    @property
    def alone(self) -> bool:
        """Where no part needs the others of a batch."""
        return all(part.alone for part in self._objectives.values())

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """Those of every objective."""
        assert isinstance(task, MixedTask)
        return {
            self._own(name, term): guess
            for name, part in self._objectives.items()
            for term, guess in part.guesses(task.parts[name]).items()
        }

    def after_step(self, model: Model) -> None:
        """Every objective that has a teacher leads it on."""
        for part in self._objectives.values():
            part.after_step(model)

    def with_tasks(self, task: Task) -> Iterator[tuple[Objective, Task]]:
        """Every objective, and the part of a task that it made."""
        assert isinstance(task, MixedTask)
        for name, part in self._objectives.items():
            yield part, task.parts[name]

    @property
    def _objectives(self) -> dict[str, Objective]:
        return {name: part for name, part in self.parts.items() if isinstance(part, Objective)}

    @staticmethod
    def _own(name: str, term: str) -> str:
        """Terms of one name in two objectives (the generator's masked tokens) stay apart."""
        return term if term == name else f"{name}/{term}"


def parts_of(objective: Objective, task: Task) -> Iterator[tuple[Objective, Task]]:
    """An objective and its task; where several train one model, each with its own."""
    if isinstance(objective, Mixed):
        yield from objective.with_tasks(task)
    else:
        yield objective, task
