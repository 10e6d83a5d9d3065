"""Fine-tuning a run on the user's labelled rows."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from headwater.data.array_file import Apart
from headwater.data.cutting import cut_like, cut_of
from headwater.data.examples import Example
from headwater.data.media_tables import modality_of
from headwater.data.pair_cut import RowCut
from headwater.data.sequencers import Patches, Tokenizer
from headwater.errors import SettingsError
from headwater.evaluation.metrics.written import spread
from headwater.run.beginning import begin_as_probe
from headwater.run.captions_page import write_captions
from headwater.run.choosing_model import chosen_picture_settings, chosen_settings
from headwater.run.deriving import derive_finetuning, derive_rhythm, habits_of, rhythm_of_a_trial, size_rule
from headwater.run.driving import Drive
from headwater.run.fitting import EncodedRows
from headwater.run.folder import RunFolder
from headwater.run.journey import Journey
from headwater.run.labelled import LabelledData
from headwater.run.learning import (
    adapted,
    agreed_machine,
    build_learner,
    build_plan,
    compile_blocks,
    refuse_long_rows,
    set_activation_checkpointing,
    thawing,
    use_machine,
    weight_average,
)
from headwater.run.measuring import seconds_a_step, steps_in
from headwater.run.paired import fresh_towers, pair_cut
from headwater.run.reading import Reader
from headwater.run.resizing import asked_for, refuse_others_sizes, resized
from headwater.run.settings import RunSettings, TrainingSettings
from headwater.run.shipping import ship_finetuned
from headwater.run.showing import Harm, harms, settled
from headwater.run.starting import DEFAULT_LENGTH, StartingPoint
from headwater.run.tasks import Task
from headwater.training import distributed
from headwater.training.plan import Learner
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests


def carry_on_finetuning(folder: RunFolder, progress: Progress) -> None:
    """Fine-tune from the newest checkpoint, or from the beginning, to the shipped model."""
    world = distributed.start()
    with StopRequests(remedy=folder.resume_line) as stop:
        settings = agreed_machine(folder.settings(), world)
        device = use_machine(settings.machine)
        known = _known(settings)
        data = LabelledData.read(settings.data, settings.task or "classification", _cut(settings, known))
        world.on_first(lambda: data.write(folder))
        check = stop.for_all(world)
        check()
        progress.say("\n".join(data.remarks()))
        start = _starting_point(settings, data, known, stop)
        check()
        task = data.task.suited_to(start, settings.start_from or "scratch")
        start, task = task.extended(start, data.train, check)
        data = replace(data, task=task)
        length = settings.training.length or task.window(data.train, start)
        settings = settings.having(training={"length": length})
        amount = task.amount(data.train, length)
        settings = derive_finetuning(settings, amount, start, task.habits)
        objective = task.objective(settings.objective, start.sequencer)
        model = start.model(task.head, seed=settings.training.seed, **task.head_options).to(device)
        refuse_long_rows(model, settings.training)
        _refuse_what_cannot_learn(task, settings.training)
        set_activation_checkpointing(model, settings.training)
        adapted(model, settings)
        compile_blocks(model, settings.machine)
        learner = build_learner(model, objective, settings.training)

        training = settings.training
        rows = task.rows(data.train.examples, start.sequencer)
        if said := task.unread(data.train.examples, start.sequencer, training.length or DEFAULT_LENGTH):
            progress.say(said)
        if settings.start_from is None and settings.model.token_vectors == "counted":
            task.begin(model, rows, check)
        reader = _reader(settings, start, learner, device, stop.check)
        if isinstance(rows, EncodedRows):
            begin_as_probe(reader, rows)
            settings = replace(settings, training=_shown(reader, rows, training, progress))
        batches = rows.batches(start.sequencer, settings.training)
        if training.steps is None:
            trial = build_plan(rhythm_of_a_trial(settings), device, world)
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
            evaluate=task.judge(reader, data.validation.examples) if data.validation is not None else None,
            average=weight_average(model, settings.training),
            hyperparameters=settings.by_full_name(),
            place_of=lambda item: data.place(batches.example(item)),
        )
        journey = drive()
        world.on_first(lambda: _finish(folder, reader, start, settings, journey, data, progress))


def _known(settings: RunSettings) -> StartingPoint | None:
    """The run that is begun from, in the size that is asked for; of pairs, the side that reads these data, or both."""
    path = settings.start_from
    if path is None:
        return None
    both = settings.data.pair is not None
    return resized(StartingPoint.of_run(path, data=settings.data.paths, both=both), settings)


def _cut(settings: RunSettings, known: StartingPoint | None) -> RowCut | None:
    """How pictures are cut: as the run that is begun from reads them, or as they suggest; None of text."""
    if settings.data.pair is not None:
        return pair_cut(settings, known and known.sequencer)
    if known is not None:
        return cut_like(known.sequencer) if isinstance(known.sequencer, Patches) else None
    modality = modality_of(settings.data.paths)
    refuse_others_sizes(settings, modality)
    return None if modality == "text" else asked_for(modality, settings)


def _starting_point(
    settings: RunSettings, data: LabelledData, known: StartingPoint | None, stop: StopRequests
) -> StartingPoint:
    task, model = data.task, settings.model
    if known is not None:
        return known.with_shares(model.shares, dropout=habits_of(task.habits, known.sequencer).dropout)
    if settings.data.pair is not None:
        return fresh_towers(settings, data.train, stop.check)
    if cut := data.train.facts.get("cut"):
        pixels = [row.pixels for row in data.train.examples if row.pixels is not None]
        patches = cut_of(cut).patches(Apart(pixels))
        chosen = chosen_picture_settings(model, patches)
        return StartingPoint(chosen, patches, {"size": model.size, "length": patches.length})
    tokenizer = task.vocabulary(data.train.examples, model.vocabulary_size, stop.check)
    if model.dropout is None:
        model = replace(model, dropout=task.habits.fresh_dropout)
    length = size_rule(model.size).length
    longest = settings.training.length or length
    return StartingPoint(
        chosen_settings(model, tokenizer.size, needs=task.needs, length=longest),
        tokenizer,
        {"size": model.size, "length": length},
    )


def _shown(
    reader: Reader, rows: EncodedRows, training: TrainingSettings, progress: Progress
) -> TrainingSettings:
    """The settings with the changes that pictures are shown with, decided once and for all."""
    if isinstance(reader.sequencer, Tokenizer):
        return training
    found = distributed.world().on_first(lambda: [asdict(harm) for harm in harms(reader, rows, training)])
    harmful = [Harm(**values) for values in found]
    for harm in harmful:
        progress.say(str(harm))
    return settled(training, reader.sequencer, harmful)


def _refuse_what_cannot_learn(task: Task[Any], training: TrainingSettings) -> None:
    if task.head is None and training.adapt == "head":
        raise SettingsError(
            f"{task.name} adds no head that could learn alone; choose --adapt full, lora or gradual"
        )


def _reader(
    settings: RunSettings,
    start: StartingPoint,
    learner: Learner,
    device: torch.device,
    check: Callable[[], None],
) -> Reader:
    """What judges the model as it is; ``check`` is asked after every batch, and raises to stop."""
    return Reader(
        model=learner.model,
        sequencer=start.sequencer,
        words=start.words,
        length=settings.training.length or DEFAULT_LENGTH,
        precision=settings.machine.precision or "fp32",
        device=device,
        check=check,
    )


def _finish(
    folder: RunFolder,
    reader: Reader,
    start: StartingPoint,
    settings: RunSettings,
    journey: Journey,
    data: LabelledData,
    progress: Progress,
) -> None:
    """Ask what the task held out, and ship; a run that is stopped before is not finished, and asks again."""
    if data.validation is not None:
        data = replace(data, task=data.task.settled(reader, data.validation.examples))
    found: dict[str, Any] | None = None
    if data.test is not None:
        report = data.task.report(reader, data.test, progress.say)
        progress.say(str(report))
        found = report.to_dict()
        data.task.keep(folder, data.test)
    if data.validation is not None:
        _keep_written(folder, reader, data.task, data.validation.examples)
    ship_finetuned(folder, reader.model, start, settings, journey, data, test=found)


def _keep_written(folder: RunFolder, reader: Reader, task: Task[Any], rows: Sequence[Example]) -> None:
    """Leave in the run's folder what a task that writes makes of some validation rows."""
    some = [rows[number] for number in spread(len(rows))]
    if not (found := task.written_of(reader, some)):
        return
    folder.write_json("examples.json", {"validation": [text.to_dict() for text in found]})
    if isinstance(reader.sequencer, Patches):
        write_captions(folder.reports, some, found, reader.sequencer)
