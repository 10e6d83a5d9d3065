"""Fine-tuning a run on the user's labelled rows."""

from collections.abc import Callable

import torch

from headwater.data.pool import vocabulary_size_for
from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models import Model
from headwater.objectives import Objective
from headwater.objectives.objective import Reads
from headwater.run.choosing_model import chosen_settings
from headwater.run.deriving import derive_finetuning, derive_rhythm, size_rule
from headwater.run.driving import Drive
from headwater.run.folder import RunFolder
from headwater.run.labelled import LabelledData
from headwater.run.learning import (
    adapted,
    agreed_machine,
    build_learner,
    build_plan,
    fits,
    refuse_parts,
    set_activation_checkpointing,
    thawing,
    use_machine,
    weight_average,
)
from headwater.run.measuring import seconds_a_step, steps_in
from headwater.run.reading import Reader
from headwater.run.settings import RunSettings
from headwater.run.shipping import ship_finetuned
from headwater.run.starting import DEFAULT_LENGTH, StartingPoint
from headwater.run.tasks import Task
from headwater.training import distributed
from headwater.training.loop import Learner
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests

_LACKING: dict[Reads, tuple[str, str, str]] = {
    "source": ("decoder", "writes texts", "denoising or span_corruption"),
    "both": ("encoder", "compares texts by vectors that have read both sides of every word", "masked_tokens"),
}
"""What a model lacks for a task, what the task does with it, and which pretext tasks train it."""


def carry_on_finetuning(folder: RunFolder, progress: Progress) -> None:
    """Fine-tune from the newest checkpoint, or from the beginning, to the shipped model."""
    world = distributed.start()
    with StopRequests(remedy=folder.resume_line) as stop:
        settings = agreed_machine(folder.settings(), world)
        device = use_machine(settings.machine)
        data = LabelledData.read(settings.data, settings.task or "classification")
        world.on_first(lambda: folder.write_json("data.json", data.facts()))
        check = stop.for_all(world)
        check()
        progress.say("\n".join(data.remarks()))
        start = _starting_point(settings, data, stop)
        check()
        task = data.task
        settings = derive_finetuning(settings, len(data.train), start, task.habits)
        objective = task.objective(settings.objective, start.tokenizer)
        model = start.model(task.head, seed=settings.training.seed, **task.head_options).to(device)
        _refuse_unfit(model, objective, task, settings)
        set_activation_checkpointing(model, settings.training)
        adapted(model, settings)
        learner = build_learner(model, objective, settings.training)

        training = settings.training
        rows = task.rows(data.train.examples, start.tokenizer)
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
            learner=thawing(learner, settings.training),
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


def _starting_point(settings: RunSettings, data: LabelledData, stop: StopRequests) -> StartingPoint:
    if settings.start_from is not None:
        start = StartingPoint.of_run(settings.start_from)
        dropout = settings.model.dropout
        return start.with_dropout(data.task.habits.dropout if dropout is None else dropout)
    texts = [example.text for example in data.train.examples]
    if data.task.labels_are in ("text", "passage"):
        texts += [example.label or "" for example in data.train.examples]
    size = settings.model.vocabulary_size or vocabulary_size_for(sum(map(len, texts)))
    tokenizer = Tokenizer.learn(texts, size, lambda *_: stop.check())
    return StartingPoint(
        chosen_settings(settings.model, tokenizer.size, needs=data.task.needs),
        tokenizer,
        {"size": settings.model.size, "length": size_rule(settings.model.size).length},
    )


def _refuse_unfit(model: Model, objective: Objective, task: Task, settings: RunSettings) -> None:
    """Refuse a model, or a way to train it, that is not of the kind the task needs."""
    if objective.couples_examples:
        refuse_parts(task.name, settings.training)
    if task.head is None and settings.training.adapt == "head":
        raise SettingsError(
            f"{task.name} adds no head that could learn alone; choose --adapt full, lora or gradual"
        )
    if fits(model.backbone, task.needs):
        return
    lacking, why, pretext = _LACKING[task.needs]
    raise SettingsError(
        f"{settings.start_from} has no {lacking}, and {task.name} {why}; pre-train with --objective {pretext}, or "
        "start from 'scratch'"
    )


def _validation(
    settings: RunSettings,
    data: LabelledData,
    tokenizer: Tokenizer,
    learner: Learner,
    device: torch.device,
    check: Callable[[], None],
) -> Callable[[], dict[str, float]] | None:
    """What is measured on the validation rows while training.

    ``check`` is asked after every batch, and raises to stop.
    """
    if data.validation is None:
        return None
    reader = Reader(
        model=learner.model,
        tokenizer=tokenizer,
        length=settings.training.length or DEFAULT_LENGTH,
        precision=settings.machine.precision or "fp32",
        device=device,
        check=check,
    )
    return data.task.judge(reader, data.validation.examples)
