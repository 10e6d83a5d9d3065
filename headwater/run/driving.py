"""Drives the loop: logs every step, saves, evaluates, averages, and stops when asked."""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from headwater.errors import InterruptedRunError, PreemptedError, SettingsError, StorageError
from headwater.evaluation.stopping import advice
from headwater.run.folder import RunFolder
from headwater.run.journey import Journey
from headwater.run.learning import named_parameters
from headwater.run.settings import TrainingSettings
from headwater.sequence import Batch
from headwater.training.averaging import Average
from headwater.training.checkpoint import Checkpoint, CheckpointFolder, module_tensors, restore_module
from headwater.training.events import EventLog
from headwater.training.loop import StepRecord, train
from headwater.training.optimizers import optimizer_tensors, restore_optimizer
from headwater.training.plan import Learner, Plan
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests

Evaluate = Callable[[], dict[str, float]]
"""Judges the learner as it is; may raise what ``StopRequests.check`` raises, and is then asked again on resume."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drive:
    """One run's way through the loop, from its newest checkpoint to its last step.

    On several ranks every rank drives; rank 0 alone evaluates, writes and speaks, and what it finds, or what stops
    it, reaches the others.
    """

    folder: RunFolder
    learner: Learner
    batch_of: Callable[[int], Batch]
    plan: Plan
    training: TrainingSettings
    progress: Progress
    stop: StopRequests
    evaluate: Evaluate | None = None
    average: Average | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the run was told and derived, by full name: for whoever compares runs in TensorBoard."""
    place_of: Callable[[int], str] | None = None
    """Where an item of a batch stands in the user's files."""

    def __call__(self) -> Journey:
        """Train to the end; the model then holds the weights to ship.

        Raises InterruptedRunError or PreemptedError after saving when asked to stop.
        """
        self._refuse_stopping_blindly()
        store = CheckpointFolder(
            self.folder.checkpoints, run=self.folder.name, world_size=self.plan.world.size
        )
        newest = store.newest()
        start, journey = self._restore(newest)
        with self._events(start) as log:
            self._say_resumed(log, newest)
            self.progress.stage(self.folder.name, self.plan.steps, start=start)
            # A stop during an evaluation saves the step without it: what the step still owes comes first.
            owing = self._owes_evaluation(journey)
            over = self._step_done(store, log, journey) if owing else self._enough(journey)
            for record in () if over else self._steps(start):
                if self.average is not None:
                    self.average.update(record.step - 1)
                journey.add(record)
                self._log(log, record)
                if self._step_done(store, log, journey):
                    break
        self._take_weights_to_ship(store, journey)
        return journey

    def _steps(self, start: int) -> Iterator[StepRecord]:
        return train(self.learner, self.batch_of, self.plan, start=start, place_of=self.place_of)

    def _step_done(self, store: CheckpointFolder, log: EventLog | None, journey: Journey) -> bool:
        """Evaluate, save and stop as is due after a step; True when the run is over before its last step."""
        better = self._owes_evaluation(journey) and self._judge(log, journey)
        over = self._enough(journey)
        ended = (journey.step == self.plan.steps or over) and not self._owes_evaluation(journey)
        request = self.stop.agree(self.plan.world)
        due = journey.step % (self.training.checkpoint_steps or 1) == 0
        if due or ended or request is not None or (better and self._ships_the_best):
            self._save(store, journey)
            request = self.stop.agree(self.plan.world)  # what was asked while saving need not wait for a step
        if request is not None and not ended:
            raise self._stopped(journey.step)
        return over

    def _restore(self, newest: Checkpoint | None) -> tuple[int, Journey]:
        steps = self.plan.world.gather(newest.step if newest is not None else 0)
        if len(set(steps)) > 1:
            raise StorageError(
                f"the processes of this run see different checkpoints in {self.folder.path} (steps {steps}); expected "
                "one folder that all of them share: put the run on a disk that every machine mounts"
            )
        if newest is None:
            return 0, Journey()
        restore_module(self.learner.model, newest.tensors("model"))
        restore_module(self.learner.objective, newest.tensors("objective"))
        restore_optimizer(self.learner.optimizer, self._named_parameters(), newest.tensors("optimizer"))
        if self.average is not None:
            self.average.restore(newest.tensors("average"))
        return newest.step, Journey(**newest.state)

    def _save(self, store: CheckpointFolder, journey: Journey) -> None:
        tensors = {
            "model": module_tensors(self.learner.model),
            "objective": module_tensors(self.learner.objective),
            "optimizer": optimizer_tensors(self.learner.optimizer, self._named_parameters()),
        }
        if self.average is not None:
            tensors["average"] = self.average.tensors()
        state, best = dataclasses.asdict(journey), journey.best_step == journey.step
        self.plan.world.on_first(lambda: str(store.save(journey.step, tensors, state, best=best)))

    def _named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return named_parameters(self.learner.model, self.learner.objective)

    @contextlib.contextmanager
    def _events(self, start: int) -> Generator[EventLog | None]:
        """The event log on rank 0, None on the others."""
        if not self.plan.world.first:
            yield None
            return
        with EventLog(self.folder.path, resume_at=start, hyperparameters=self.hyperparameters) as log:
            yield log

    def _log(self, log: EventLog | None, record: StepRecord) -> None:
        self.progress.update(record.step, loss=record.loss, tokens=record.tokens)
        if log is None:
            return
        rate = record.learning_rate_factor * (self.training.learning_rate or 0.0)
        numbers = {**record.losses, "gradient_norm": record.gradient_norm, "learning_rate": rate}
        time = {"seconds": record.seconds, "tokens_per_second": record.tokens / record.seconds}
        log.write("train", step=record.step, **numbers, tokens=record.tokens, **time)
        if not record.finite:
            log.write("skipped", step=record.step, reason="non-finite loss or gradient")

    def _owes_evaluation(self, journey: Journey) -> bool:
        """True when an evaluation is due at the step where the run stands, and was not made."""
        every = self.training.evaluation_steps
        if self.evaluate is None or not every or journey.step == 0:
            return False
        due = journey.step % every == 0 or journey.step == self.plan.steps
        return due and not journey.judged_at(journey.step)

    def _judge(self, log: EventLog | None, journey: Journey) -> bool:
        """Evaluate the weights that would be shipped; True when they are the best so far."""
        numbers = self.plan.world.on_first(self._numbers)
        if numbers is None:
            return False
        if log is not None:
            log.write("evaluation", step=journey.step, **numbers)
        return journey.note(numbers)

    def _numbers(self) -> dict[str, float] | None:
        """What the evaluation finds; None when it was given up because the run is to stop."""
        assert self.evaluate is not None
        averaged = self.average.in_place() if self.average is not None else contextlib.nullcontext()
        self.learner.model.eval()
        try:
            with averaged:
                return self.evaluate()
        except (InterruptedRunError, PreemptedError):
            return None
        finally:
            self.learner.model.train()

    def _enough(self, journey: Journey) -> bool:
        """True when the evaluations say that further steps would not pay."""
        patience = self.training.early_stopping
        if patience is not None and journey.evaluations_since_best >= patience:
            return True
        if not self.training.stop_when_flat or not journey.evaluations:
            return False
        verdict = advice(journey.evaluations, learning_rate=self.plan.schedule).verdict
        return verdict in ("flat", "worse")

    @property
    def _ships_the_best(self) -> bool:
        return self.training.early_stopping is not None or self.training.stop_when_flat

    def _refuse_stopping_blindly(self) -> None:
        if self._ships_the_best and (self.evaluate is None or not self.training.evaluation_steps):
            name = "early_stopping" if self.training.early_stopping is not None else "stop_when_flat"
            raise SettingsError(
                f"training.{name} has nothing to go by: no text or row is held out to judge on; expected some. Give "
                "rows with --validation (finetune) or more documents (pretrain), or leave the setting out"
            )

    def _take_weights_to_ship(self, store: CheckpointFolder, journey: Journey) -> None:
        """The best weights where the evaluations decide, else the last ones; averaged where there is an average."""
        journey.shipped_step = journey.step
        if self._ships_the_best and journey.best_step not in (0, journey.step):
            best = store.best()
            if best is not None and best.step == journey.best_step:
                restore_module(self.learner.model, best.tensors("model"))
                if self.average is not None:
                    self.average.restore(best.tensors("average"))
                journey.shipped_step = best.step
            else:
                self.progress.say(
                    f"the checkpoint of the best step, {journey.best_step}, cannot be read; the last weights go out"
                )
        if self.average is not None:
            self.average.settle()

    def _say_resumed(self, log: EventLog | None, newest: Checkpoint | None) -> None:
        if newest is None:
            return
        for note in newest.notes:
            self.progress.say(note)
        if newest.notes and log is not None:
            notes: list[Any] = list(newest.notes)
            log.write("note", step=newest.step, notes=notes)
        self.progress.say(f"resuming {self.folder.name} at step {newest.step} of {self.plan.steps}")

    def _stopped(self, step: int) -> InterruptedRunError | PreemptedError:
        kind = InterruptedRunError if self.stop.requested == "interrupt" else PreemptedError
        return kind(f"stopped and saved at step {step} of {self.plan.steps}; {self.folder.resume_line}")
