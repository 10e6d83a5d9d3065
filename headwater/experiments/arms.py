"""The arms of the gain experiment, and how one cell of a neural arm is trained."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from headwater.data.sequencers import Patches, Sequencing, Sides, Tokenizer
from headwater.errors import MissingInputError, TrainingStoppedError, UsageError
from headwater.experiments.plan import Cell, CellResult, Cost
from headwater.models import Model, cost_of
from headwater.objectives import Classification
from headwater.run.beginning import begin_as_probe
from headwater.run.choosing_model import matched_to
from headwater.run.deriving import CLASSIFYING, finetuning_rate, habits_of
from headwater.run.fitting import EncodedRows
from headwater.run.learning import build_learner, build_plan
from headwater.run.measuring import seconds_a_step
from headwater.run.pairs import lengths_of
from headwater.run.reading import Reader
from headwater.run.resizing import stretched_to
from headwater.run.settings import RunSettings
from headwater.run.showing import Harm, harms, settled
from headwater.run.starting import DEFAULT_LENGTH, StartingPoint
from headwater.training.distributed import World
from headwater.training.loop import StepRecord, train
from headwater.training.precision import forget_peak_memory, peak_memory

RATES = 3
"""How many learning rates an arm chooses among, unless only the middle one is asked for."""
RANDOM_STARTS: Mapping[str, tuple[float, ...]] = {
    "scratch": (3e-4, 1e-3, 3e-3),
    "recurrent": (1e-3, 3e-3, 1e-2),
    "convolutional": (3e-4, 1e-3, 3e-3),
}
LEARNT_STARTS = (1 / 6, 1 / 3, 1.0)
"""Of the rate at which a model of that size is fine-tuned on many rows; fewer rows want smaller steps."""
LEARNT_FROM_PICTURES = (1 / 3, 1.0, 3.0)
ADVICE = "Look at the rows, or cut gradients shorter with --set training.clip (1 unless said)"


def learning_rates(arm: str, start: StartingPoint, count: int = RATES) -> tuple[float, ...]:
    """The rates that an arm may choose from, on the validation rows: as many for each, around what suits it."""
    shares = LEARNT_STARTS if isinstance(start.sequencer, Tokenizer) else LEARNT_FROM_PICTURES
    usual = tuple(float(f"{share * finetuning_rate(start.size):.2g}") for share in shares)
    rates = RANDOM_STARTS.get(arm, usual)
    return rates if count == RATES else (rates[RATES // 2],)


def device_of(settings: RunSettings) -> torch.device:
    """Where the cells of an experiment are trained."""
    return torch.device(settings.machine.device or "cpu")


@dataclass(frozen=True, slots=True)
class Task:
    """The rows of one experiment, as every neural arm reads them."""

    train: EncodedRows
    validation: EncodedRows
    test: EncodedRows
    shifted: EncodedRows | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One fine-tuning run with one learning rate."""

    learning_rate: float
    model: Model
    found: Sequence[Harm]
    validation_score: float
    validation_loss: float
    cost: Cost

    @property
    def rank(self) -> tuple[float, float]:
        """Higher is better: accuracy first, and the smaller loss among equals."""
        return self.validation_score, -self.validation_loss


def starting_points(
    run: StartingPoint, shares: Mapping[str, float] | None = None, *, only: Collection[str] | None = None
) -> dict[str, StartingPoint]:
    """Every neural arm of a run by name; ``parent`` only where the run was continued from another and is wanted.

    Transformers leave ``shares`` out as they learn. Without a dropout among these, those that learnt before learn
    with that of fine-tuning, and those that begin at random without, which suits each (docs/decisions/0011).
    """
    usual = habits_of(CLASSIFYING, run.sequencer).dropout
    asked = shares or {}
    arms = {
        "pretrained": run.with_shares(asked, dropout=usual),
        "scratch": run.without_weights().with_shares(asked, dropout=0.0),
    }
    both = isinstance(run.sequencer, Sides)
    if not both:
        # A text to classify is whole: nothing keeps these from reading it from both sides, whatever RUN reads.
        arms["recurrent"] = run.having(matched_to(run.settings, "recurrent", causal=False))
        arms["convolutional"] = run.having(matched_to(run.settings, "convolutional", causal=False))
    elif missing := {"recurrent", "convolutional"} & {*(only or ())}:
        raise UsageError(
            f"found the arm {min(missing)}; both sides of pairs are read by Transformers alone, so leave it out"
        )
    parent = run.card.get("parent")
    if only is not None and "parent" in only and not parent:
        raise UsageError("found the arm parent; this run was continued from no other, so leave it out")
    if parent and (only is None or "parent" in only):
        try:
            before = StartingPoint.of_run(parent["run"], both=both)
            if isinstance(run.sequencer, Patches) and isinstance(before.sequencer, Patches):
                before = stretched_to(run.sequencer, before)  # all arms read the same pictures
            arms["parent"] = before.with_shares(asked, dropout=usual)
        except MissingInputError as problem:
            raise MissingInputError(
                f"this run was continued from {parent['run']}, which is not there any more ({problem}). Put it "
                "back, or name the other arms with --arms"
            ) from problem
    return arms


def measured_seconds(start: StartingPoint, task: Task, settings: RunSettings) -> float:
    """The estimated time of one fine-tuning run of an arm, from a few steps that are then undone."""
    training, device = settings.training, device_of(settings)
    model = start.model("classification", seed=0, classes=len(task.labels)).to(device)
    learner = build_learner(model, Classification(task.labels), training)
    batches = task.train.batches(start.sequencer, training)
    step = seconds_a_step(learner, batches.batch, build_plan(settings, device, World()), steps=2)
    judged = len(task.validation) + len(task.test)
    forward = step / 3  # of as many rows
    return step * (training.steps or 1) + forward * judged / (training.batch_rows or 1)


@dataclass(frozen=True, slots=True)
class Trial:
    """What one arm is fine-tuned on, and where each of its rows stands.

    ``check`` is asked after every step whether to go on, and raises to stop.
    """

    start: StartingPoint
    task: Task
    rows: NDArray[np.int64]
    places: Sequence[str]
    settings: RunSettings
    check: Callable[[], None]

    @property
    def objective(self) -> Classification:
        """What the arm is to learn."""
        return Classification(
            self.task.labels, label_smoothing=self.settings.objective.label_smoothing or 0.0
        )

    def reader(self, model: Model) -> Reader:
        """Reads rows as they are."""
        length = self.settings.training.length
        assert length is not None, "the settings of a cell are derived"
        return Reader(
            model=model, sequencer=self.start.sequencer, length=length, device=device_of(self.settings)
        )

    def scores(self, model: Model, rows: EncodedRows) -> NDArray[np.float32]:
        """The probability of every label for each row."""
        return self.reader(model).scores(self.objective, rows.inputs)


def train_cell(cell: Cell, trial: Trial, rates: Sequence[float]) -> CellResult:
    """Fine-tune one arm on one draw of rows, once for each rate; the best on validation alone meets the test.

    A rate at which the loss is no number is passed over; TrainingStoppedError where it is so at all of them.
    """
    best: Attempt | None = None
    tried: list[tuple[str, float | None]] = []
    costs: list[Cost] = []
    for rate in rates:
        began = time.perf_counter()
        try:
            attempt = _attempt(trial, rate, None if best is None else best.found)
        except TrainingStoppedError as stopped:
            if best is None and rate == rates[-1]:
                raise TrainingStoppedError(
                    f"{cell.arm} at {cell.budget} labels per class, seed {cell.seed}, at {'each ' * (len(rates) > 1)}"
                    f"learning rate ({', '.join(f'{one:g}' for one in rates)}): {stopped}"
                ) from stopped
            tried.append((f"{rate:g}", None))
            costs.append(Cost(seconds=time.perf_counter() - began))
            continue
        tried.append((f"{rate:g}", attempt.validation_score))
        costs.append(attempt.cost)
        if best is None or attempt.rank > best.rank:
            best = attempt
    assert best is not None, "an arm tries at least one rate"
    task = trial.task
    test = trial.scores(best.model, task.test)
    shifted = None if task.shifted is None else trial.scores(best.model, task.shifted)
    predictions = test.argmax(axis=1)
    return CellResult(
        arm=cell.arm,
        budget=cell.budget,
        seed=cell.seed,
        score=float((predictions == task.test.labels).mean()),
        predictions=tuple(predictions.tolist()),
        cost=best.cost,
        learning_rate=best.learning_rate,
        not_shown=tuple(harm.change for harm in best.found),
        tried=tuple(tried),
        tried_costs=tuple(costs),
        probabilities=tuple(tuple(round(float(share), 5) for share in row) for row in test),
        shifted_predictions=None if shifted is None else tuple(shifted.argmax(axis=1).tolist()),
    )


def _attempt(trial: Trial, rate: float, found: Sequence[Harm] | None) -> Attempt:
    """Fine-tune with one rate; which views harm is ``found`` the first time, and does not depend on the rate."""
    began = time.perf_counter()
    forget_peak_memory(device_of(trial.settings).type)
    start, task = trial.start, trial.task
    settings = trial.settings.having(training={"learning_rate": rate})
    device = device_of(settings)
    seed = settings.training.seed
    model = start.model(trial.objective.name, seed=seed, classes=len(task.labels)).to(device)
    learner = build_learner(model, trial.objective, settings.training)
    rows, reader = task.train.take(trial.rows), trial.reader(model)
    begin_as_probe(reader, rows)
    found = harms(reader, rows, settings.training) if found is None else found
    training = settings.training
    if not isinstance(start.sequencer, Tokenizer):
        training = settled(training, start.sequencer, found)
    batches = rows.batches(start.sequencer, training)
    plan = build_plan(settings, device, World())
    records: list[StepRecord] = []

    def place_of(item: int) -> str:
        return trial.places[batches.example(item)]

    for record in train(learner, batches.batch, plan, place_of=place_of, advice=ADVICE):
        records.append(record)
        trial.check()
    rows_read = len(records) * (training.batch_rows or 1)
    tokens, length = _read(start.sequencer, records, rows_read, training.length or DEFAULT_LENGTH)
    validation = trial.scores(model, task.validation)
    given = validation[np.arange(len(validation)), task.validation.labels]
    validation_loss = float(-np.log(np.clip(given, 1e-9, 1.0)).mean())
    if not np.isfinite(validation_loss):
        raise TrainingStoppedError(
            f"after {len(records)} steps the answers to the validation rows are no numbers; expected finite ones. "
            f"{ADVICE}"
        )
    cost = cost_of(model.backbone, length=length)
    return Attempt(
        learning_rate=rate,
        model=model,
        found=found,
        validation_score=float((validation.argmax(axis=1) == task.validation.labels).mean()),
        validation_loss=validation_loss,
        cost=Cost(
            seconds=time.perf_counter() - began,
            tokens=tokens,
            flops=rows_read * cost.training_flops,
            peak_memory=peak_memory(device.type),
            steps=len(records),
        ),
    )


def _read(
    sequencer: Sequencing, records: Sequence[StepRecord], rows: int, text_length: int
) -> tuple[int, int]:
    """The tokens of so many rows, of pairs those of both sides, and of one row, of pairs the mean of both sides."""
    if isinstance(sequencer, Sides):
        both = sum(lengths_of(sequencer, text_length))
        return rows * both, both // 2
    tokens = sum(record.tokens for record in records)
    return tokens, max(1, tokens // rows)
