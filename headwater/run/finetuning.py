"""Fine-tuning a run on the user's labelled rows."""

from collections.abc import Sequence

import numpy as np
import torch

from headwater.data.pool import vocabulary_size_for
from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models import Model
from headwater.objectives import LABELLED_OBJECTIVES, Classification
from headwater.run.choosing_model import chosen_settings
from headwater.run.deriving import derive_finetuning, derive_machine, derive_rhythm, size_rule
from headwater.run.driving import Drive
from headwater.run.fitting import EncodedRows, probabilities_of
from headwater.run.folder import RunFolder
from headwater.run.labelled import LabelledData
from headwater.run.learning import build_learner, build_plan, use_machine
from headwater.run.measuring import seconds_a_step, steps_in
from headwater.run.settings import RunSettings
from headwater.run.shipping import ship_finetuned
from headwater.run.starting import StartingPoint
from headwater.settings import unknown_choice
from headwater.training import distributed
from headwater.training.precision import look_at_machine
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests


def carry_on_finetuning(folder: RunFolder, progress: Progress) -> None:
    """Fine-tune from the newest checkpoint, or from the beginning, to the shipped model."""
    world = distributed.start()
    with StopRequests() as stop:
        settings = derive_machine(folder.settings(), look_at_machine(folder.settings().machine.device))
        device = use_machine(settings.machine)
        data = LabelledData.read(settings.data)
        if world.first:
            folder.write_json("data.json", data.facts())
        progress.say("\n".join(data.remarks()))
        start = _starting_point(settings, data)
        settings = derive_finetuning(settings, len(data.train), start)
        objective = labelled_objective(settings, data.names)
        model = start.model(objective.name, seed=settings.training.seed, classes=len(data.names)).to(device)
        learner = build_learner(model, objective, settings.training)

        training = settings.training
        rows = EncodedRows.of(data.train.examples, data.names, start.tokenizer)
        batches = rows.batches(start.tokenizer, training)
        if training.steps is None:
            trial = build_plan(
                derive_rhythm(settings.having(training={"steps": 1000}), evaluate=False), device, world
            )
            seconds = max(world.gather(seconds_a_step(learner, batches.batch, trial)))
            settings = settings.having(training={"steps": steps_in(training.minutes or 1.0, seconds)})
        settings = derive_rhythm(settings, evaluate=data.validation is not None)
        if world.first:
            folder.write_settings(settings)

        drive = Drive(
            folder=folder,
            learner=learner,
            batch_of=batches.batch,
            plan=build_plan(settings, device, world),
            training=settings.training,
            progress=progress,
            stop=stop,
            evaluate=_validation(settings, data, start.tokenizer, model, objective, device),
        )
        journey = drive()
        if world.first:
            ship_finetuned(folder, model, start, settings, journey, data)


def labelled_objective(settings: RunSettings, names: Sequence[str]) -> Classification:
    """The objective of the task that the settings name."""
    task = settings.task or "classification"
    if task not in LABELLED_OBJECTIVES:
        raise SettingsError(unknown_choice("task", task, list(LABELLED_OBJECTIVES)))
    return Classification(names, label_smoothing=settings.objective.label_smoothing)


def _starting_point(settings: RunSettings, data: LabelledData) -> StartingPoint:
    if settings.start_from is not None:
        return StartingPoint.of_run(settings.start_from)
    texts = [example.text for example in data.train.examples]
    size = settings.model.vocabulary_size or vocabulary_size_for(sum(map(len, texts)))
    tokenizer = Tokenizer.learn(texts, size)
    return StartingPoint(
        chosen_settings(settings.model, tokenizer.size),
        tokenizer,
        {"size": settings.model.size, "length": size_rule(settings.model.size).length},
    )


def _validation(
    settings: RunSettings,
    data: LabelledData,
    tokenizer: Tokenizer,
    model: Model,
    objective: Classification,
    device: torch.device,
):
    """What is measured on the validation rows while training: the loss and the accuracy."""
    if data.validation is None:
        return None
    rows = EncodedRows.of(data.validation.examples, data.names, tokenizer)
    known = np.flatnonzero(rows.labels >= 0)

    def evaluate() -> dict[str, float]:
        probabilities = probabilities_of(
            model,
            objective,
            rows,
            tokenizer,
            length=settings.training.length or 256,
            precision=settings.machine.precision or "fp32",
            device=device,
        )
        given = probabilities[known, rows.labels[known]]
        right = probabilities.argmax(axis=1) == rows.labels
        return {"loss": float(-np.log(np.clip(given, 1e-9, 1.0)).mean()), "accuracy": float(right.mean())}

    return evaluate
