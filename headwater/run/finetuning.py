"""Fine-tuning a run on the user's labelled rows."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from headwater.data.pool import vocabulary_size_for
from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.objectives import LABELLED_OBJECTIVES, Classification
from headwater.run.choosing_model import chosen_settings
from headwater.run.deriving import derive_finetuning, derive_rhythm, size_rule
from headwater.run.driving import Drive
from headwater.run.fitting import EncodedRows, probabilities_of
from headwater.run.folder import RunFolder
from headwater.run.labelled import LabelledData
from headwater.run.learning import (
    agreed_machine,
    build_learner,
    build_plan,
    set_activation_checkpointing,
    use_machine,
    weight_average,
)
from headwater.run.measuring import seconds_a_step, steps_in
from headwater.run.settings import RunSettings
from headwater.run.shipping import ship_finetuned
from headwater.run.starting import StartingPoint
from headwater.settings import unknown_choice
from headwater.training import distributed
from headwater.training.loop import Learner
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests


def carry_on_finetuning(folder: RunFolder, progress: Progress) -> None:
    """Fine-tune from the newest checkpoint, or from the beginning, to the shipped model."""
    world = distributed.start()
    with StopRequests(remedy=folder.resume_line) as stop:
        settings = agreed_machine(folder.settings(), world)
        device = use_machine(settings.machine)
        data = LabelledData.read(settings.data)
        world.on_first(lambda: folder.write_json("data.json", data.facts()))
        check = stop.for_all(world)
        check()
        progress.say("\n".join(data.remarks()))
        start = _starting_point(settings, data, stop)
        check()
        settings = derive_finetuning(settings, len(data.train), start)
        objective = labelled_objective(settings, data.names)
        model = start.model(objective.name, seed=settings.training.seed, classes=len(data.names)).to(device)
        set_activation_checkpointing(model, settings.training)
        learner = build_learner(model, objective, settings.training)

        training = settings.training
        rows = EncodedRows.of(data.train.examples, data.names, start.tokenizer)
        batches = rows.batches(start.tokenizer, training)
        if training.steps is None:
            trial = build_plan(
                derive_rhythm(settings.having(training={"steps": 1000}), evaluate=False), device, world
            )
            seconds = seconds_a_step(learner, batches.batch, trial, check=check)
            settings = settings.having(training={"steps": steps_in(training.minutes or 1.0, seconds)})
        settings = derive_rhythm(settings, evaluate=data.validation is not None)
        world.on_first(lambda: folder.write_settings(settings))

        drive = Drive(
            folder=folder,
            learner=learner,
            batch_of=batches.batch,
            plan=build_plan(settings, device, world),
            training=settings.training,
            progress=progress,
            stop=stop,
            evaluate=_validation(settings, data, start.tokenizer, learner, device, stop.check),
            average=weight_average(model, settings.training),
        )
        journey = drive()
        world.on_first(lambda: ship_finetuned(folder, model, start, settings, journey, data))


def labelled_objective(settings: RunSettings, names: Sequence[str]) -> Classification:
    """The objective of the task that the settings name."""
    task = settings.task or "classification"
    if task not in LABELLED_OBJECTIVES:
        raise SettingsError(unknown_choice("task", task, list(LABELLED_OBJECTIVES)))
    return Classification(names, label_smoothing=settings.objective.label_smoothing)


def _starting_point(settings: RunSettings, data: LabelledData, stop: StopRequests) -> StartingPoint:
    if settings.start_from is not None:
        return StartingPoint.of_run(settings.start_from)
    texts = [example.text for example in data.train.examples]
    size = settings.model.vocabulary_size or vocabulary_size_for(sum(map(len, texts)))
    tokenizer = Tokenizer.learn(texts, size, lambda *_: stop.check())
    return StartingPoint(
        chosen_settings(settings.model, tokenizer.size),
        tokenizer,
        {"size": settings.model.size, "length": size_rule(settings.model.size).length},
    )


def _validation(
    settings: RunSettings,
    data: LabelledData,
    tokenizer: Tokenizer,
    learner: Learner,
    device: torch.device,
    check: Callable[[], None],
) -> Callable[[], dict[str, float]] | None:
    """What is measured on the validation rows while training: the loss and the accuracy.

    ``check`` is asked after every batch, and raises to stop.
    """
    if data.validation is None:
        return None
    rows = EncodedRows.of(data.validation.examples, data.names, tokenizer)
    known = np.flatnonzero(rows.labels >= 0)
    objective = learner.objective
    assert isinstance(objective, Classification)

    def evaluate() -> dict[str, float]:
        probabilities = probabilities_of(
            learner.model,
            objective,
            rows,
            tokenizer,
            length=settings.training.length or 256,
            precision=settings.machine.precision or "fp32",
            device=device,
            check=check,
        )
        given = probabilities[known, rows.labels[known]]
        right = probabilities.argmax(axis=1) == rows.labels
        return {"loss": float(-np.log(np.clip(given, 1e-9, 1.0)).mean()), "accuracy": float(right.mean())}

    return evaluate
