"""Drives the loop: logs every step, saves, evaluates, averages, and stops when asked."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from headwater.errors import InterruptedRunError, PreemptedError
from headwater.run.folder import RunFolder
from headwater.run.learning import named_parameters
from headwater.run.settings import TrainingSettings
from headwater.sequence import Batch
from headwater.training.averaging import WeightAverage
from headwater.training.checkpoint import Checkpoint, CheckpointFolder, module_tensors, restore_module
from headwater.training.events import EventLog
from headwater.training.loop import Learner, Plan, StepRecord, train
from headwater.training.optimizers import optimizer_tensors, restore_optimizer
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests

Evaluate = Callable[[], dict[str, float]]


@dataclass(slots=True)
class Journey:
    """What a run remembers besides tensors: its evaluations, and the best of them."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluations: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    best: float | None = None
    best_step: int = 0

    def add(self, record: StepRecord) -> None:
        """Count a step."""
        self.step = record.step
        self.tokens += record.tokens
        self.seconds += record.seconds

    def note(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Keep an evaluation; True when its loss is the lowest so far."""
        self.evaluations.append({"step": step, **numbers})
        loss = numbers["loss"]
        if self.best is not None and not loss < self.best:
            return False
        self.best, self.best_step = loss, step
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Drive:
    """One run's way through the loop, from its newest checkpoint to its last step."""

    folder: RunFolder
    learner: Learner
    batch_of: Callable[[int], Batch]
    plan: Plan
    training: TrainingSettings
    progress: Progress
    stop: StopRequests
    evaluate: Evaluate | None = None
    average: WeightAverage | None = None

    def __call__(self) -> Journey:
        """Train to the end; raises InterruptedRunError or PreemptedError after saving when asked to stop."""
        store = CheckpointFolder(self.folder.checkpoints)
        newest = store.newest()
        for note in newest.notes if newest is not None else ():
            self.progress.say(note)
        start, journey = self._restore(newest)
        with EventLog(self.folder.path, resume_at=start) as log:
            self._say_resumed(start)
            self.progress.stage(self.folder.name, self.plan.steps, start=start)
            for record in train(self.learner, self.batch_of, self.plan, start=start):
                if self.average is not None:
                    self.average.update(record.step - 1)
                journey.add(record)
                self._log(log, record)
                flat = self._evaluate_when_due(log, record.step, journey)
                ended = record.step == self.plan.steps or flat
                if ended or self.stop.requested or record.step % (self.training.checkpoint_steps or 1) == 0:
                    self._save(store, record.step, journey)
                if self.stop.requested and not ended:
                    raise self._stopped(record.step)
                if flat:
                    break
        return journey

    def _restore(self, newest: Checkpoint | None) -> tuple[int, Journey]:
        if newest is None:
            return 0, Journey()
        restore_module(self.learner.model, newest.tensors("model"))
        restore_module(self.learner.objective, newest.tensors("objective"))
        restore_optimizer(self.learner.optimizer, self._named_parameters(), newest.tensors("optimizer"))
        if self.average is not None:
            self.average.restore(newest.tensors("average"))
        return newest.step, Journey(**newest.state)

    def _save(self, store: CheckpointFolder, step: int, journey: Journey) -> None:
        tensors = {
            "model": module_tensors(self.learner.model),
            "objective": module_tensors(self.learner.objective),
            "optimizer": optimizer_tensors(self.learner.optimizer, self._named_parameters()),
        }
        if self.average is not None:
            tensors["average"] = self.average.tensors()
        store.save(step, tensors, dataclasses.asdict(journey), best=journey.best_step == step)

    def _named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return named_parameters(self.learner.model, self.learner.objective)

    def _log(self, log: EventLog, record: StepRecord) -> None:
        rate = record.learning_rate_factor * (self.training.learning_rate or 0.0)
        numbers = {**record.losses, "gradient_norm": record.gradient_norm, "learning_rate": rate}
        speed = record.tokens / record.seconds
        log.write(
            "train",
            step=record.step,
            **numbers,
            tokens=record.tokens,
            seconds=record.seconds,
            tokens_per_second=speed,
        )
        if not record.finite:
            log.write("skipped", step=record.step, reason="non-finite loss or gradient")
        self.progress.update(record.step, loss=record.loss, tokens=record.tokens)

    def _evaluate_when_due(self, log: EventLog, step: int, journey: Journey) -> bool:
        """Evaluate at the steps that are due; True when early stopping says that it is enough."""
        every = self.training.evaluation_steps
        if self.evaluate is None or not every or (step % every and step != self.plan.steps):
            return False
        self.learner.model.eval()
        numbers = self.evaluate()
        self.learner.model.train()
        journey.note(step, numbers)
        log.write("evaluation", step=step, **numbers)
        patience = self.training.early_stopping or (3 if self.training.stop_when_flat else None)
        return patience is not None and step - journey.best_step >= patience * every

    def _say_resumed(self, start: int) -> None:
        if start:
            self.progress.say(f"resuming {self.folder.name} at step {start} of {self.plan.steps}")

    def _stopped(self, step: int) -> InterruptedRunError | PreemptedError:
        kind = InterruptedRunError if self.stop.requested == "interrupt" else PreemptedError
        return kind(
            f"stopped and saved at step {step} of {self.plan.steps}; go on with: headwater resume {self.folder.path}"
        )
