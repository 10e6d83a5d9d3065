"""Pre-training, composed: matter → batches → objective → loop → the shipped model."""

from collections.abc import Callable

import torch

from headwater.data.batches import BatchStream
from headwater.data.kinds import Learnt
from headwater.errors import SettingsError
from headwater.evaluation.stopping import advice
from headwater.models import Model, cost_of
from headwater.run.choosing_model import continued_model
from headwater.run.choosing_objective import READS, Given, Pretext
from headwater.run.deriving import derive_pretraining, derive_rhythm, rhythm_of_a_trial
from headwater.run.driving import Drive
from headwater.run.folder import RunFolder
from headwater.run.held_out import HeldOut, first_batches
from headwater.run.learning import (
    agreed_machine,
    build_learner,
    build_plan,
    compile_blocks,
    fits,
    refuse_long_rows,
    refuse_parts,
    set_activation_checkpointing,
    use_machine,
    weight_average,
)
from headwater.run.matter import Matter
from headwater.run.measuring import seconds_a_step, steps_in
from headwater.run.pairs import Pairs
from headwater.run.pictures import Pictures
from headwater.run.remembering import OldData
from headwater.run.resizing import refuse_others_sizes
from headwater.run.settings import RunSettings
from headwater.run.shipping import Parent, ship_pretrained
from headwater.run.texts import Texts
from headwater.training import distributed
from headwater.training.plan import Learner
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests

EVALUATION_SHARE = 0.04
"""The share of a run that its evaluations take: eight forward passes every tenth of the way, and the probe."""
SHORTEST_RUN = 10
"""Steps that even the shortest time buys."""
MATTERS: dict[Learnt, type[Texts] | type[Pictures] | type[Pairs]] = {
    "text": Texts,
    "image": Pictures,
    "audio": Pictures,
    "video": Pictures,
    "pairs": Pairs,
}


def carry_on_pretraining(folder: RunFolder, progress: Progress) -> None:
    """Pre-train from the newest checkpoint, or from the beginning, to the shipped model."""
    world = distributed.start()
    with StopRequests(remedy=folder.resume_line) as stop:
        settings = agreed_machine(folder.settings(), world)
        pretext = Pretext.named(settings.objective.name, settings.data.paths)
        _refuse_weights(pretext, settings)
        if pretext.modality != "pairs":  # which sides these have is known once they are read
            refuse_others_sizes(settings, pretext.modality)
        _refuse_parts(pretext, derive_pretraining(settings))
        if passed_over := pretext.require(settings.data.paths):
            progress.say(passed_over)
        device = use_machine(settings.machine)
        parent = Parent.of(settings.start_from)
        gather = MATTERS[pretext.modality].gather
        matter = world.first_then_others(
            lambda: gather(settings, pretext.modality, parent, progress, stop.check)
        )
        settings = derive_pretraining(matter.derived(settings))
        world.on_first(lambda: matter.write(folder))
        check = stop.for_all(world)
        check()

        model = _model(settings, matter, pretext)
        given = Given(matter.sequencer, settings.objective, model, settings.training.seed, matter.sample)
        objective = pretext.build(given)
        if settings.start_from is None:
            progress.stage("preparing the first weights")
            world.first_then_others(lambda: matter.begin(model, settings, stop.check))
        model = model.to(device)
        compile_blocks(model, settings.machine)
        learner = build_learner(model, objective, settings.training)
        old = OldData.of(settings, parent, pretext, matter, learner, progress.say)
        batches = matter.batches(settings, pretext)
        settings = _timed(settings, learner, batches, device, progress, check)
        world.on_first(lambda: folder.write_settings(settings))
        progress.say(matter.told(settings))
        progress.say(_told(settings, learner, matter))

        plan = build_plan(settings, device, world)
        drive = Drive(
            folder=folder,
            learner=learner,
            batch_of=batches.batch,
            plan=plan,
            training=settings.training,
            progress=progress,
            stop=stop,
            evaluate=_evaluation(settings, matter, pretext, learner, folder, stop.check),
            average=weight_average(model, settings.training),
            hyperparameters=settings.by_full_name(),
            place_of=lambda item: matter.place(batches.example(item)),
        )
        journey = drive()
        words = advice(journey.evaluations, steps=journey.step, learning_rate=plan.schedule)
        flops = journey.tokens * _flops_a_token(settings, learner, matter)
        world.on_first(
            lambda: ship_pretrained(
                folder,
                model,
                matter.sequencer,
                settings,
                journey,
                flops=flops,
                advice=words,
                forgetting=old and old.forgotten(model),
            )
        )


def _refuse_weights(pretext: Pretext, settings: RunSettings) -> None:
    if settings.data.weights is not None and pretext.modality == "pairs":
        raise SettingsError(
            f"{settings.objective.name} reads pairs, whose sources cannot be weighed; leave data.weights out"
        )


def _refuse_parts(pretext: Pretext, settings: RunSettings) -> None:
    if pretext.wants_whole_batches:
        refuse_parts(settings.objective.name, settings.training)


def _model(settings: RunSettings, matter: Matter, pretext: Pretext) -> Model:
    if settings.start_from is not None:
        model = continued_model(settings.start_from, pretext, settings)
    else:
        model = matter.model(settings, pretext)
    if not fits(model.backbone, pretext.needs):
        raise SettingsError(
            f"{settings.objective.name} needs a model that reads {READS[pretext.needs]}, and this one reads "
            f"{READS[model.backbone.reads]}; choose another --objective or model.backbone"
        )
    refuse_long_rows(model, settings.training)
    set_activation_checkpointing(model, settings.training)
    return model


def _timed(
    settings: RunSettings,
    learner: Learner,
    batches: BatchStream,
    device: torch.device,
    progress: Progress,
    check: Callable[[], None],
) -> RunSettings:
    """Minutes turned into steps, once; a run that already knows its steps keeps them."""
    if settings.training.steps is None:
        assert settings.training.minutes is not None
        progress.say("measuring the speed of this machine on a few steps, which are then undone")
        world = distributed.world()
        plan = build_plan(rhythm_of_a_trial(settings), device, world)
        seconds = seconds_a_step(learner, batches.batch, plan, check=check)
        steps = steps_in(settings.training.minutes, seconds, evaluation_share=EVALUATION_SHARE)
        settings = settings.having(training={"steps": max(steps, SHORTEST_RUN)})
    return derive_rhythm(settings, evaluate=True)


def _evaluation(
    settings: RunSettings,
    matter: Matter,
    pretext: Pretext,
    learner: Learner,
    folder: RunFolder,
    check: Callable[[], None],
) -> Callable[[], dict[str, float]] | None:
    """The held-out loss, the probe where there are labels for one, and what there is to look at.

    None when nothing was held out. ``check`` is asked after every batch, and raises to stop.
    """
    device = next(learner.model.parameters()).device
    judged = matter.judged(settings, pretext)
    if judged is None:
        return None
    held_out = HeldOut.of(
        learner.objective,
        first_batches(judged.batch, judged.batches_per_epoch(0)),
        precision=settings.machine.precision or "fp32",
        device=device,
    )
    probe = matter.probe(settings, device)

    def evaluate() -> dict[str, float]:
        numbers = held_out(learner.model, check=check)
        matter.look(learner, held_out, folder.path / "reports")
        return {**numbers, **probe(learner.model, check=check)} if probe is not None else numbers

    return evaluate


def _flops_a_token(settings: RunSettings, learner: Learner, matter: Matter) -> float:
    length, share = matter.mean_length(settings), learner.objective.loss_share
    return cost_of(learner.model.backbone, length=length, loss_share=share).training_flops_per_token


def _told(settings: RunSettings, learner: Learner, matter: Matter) -> str:
    """Every derived number, in one line."""
    training, machine = settings.training, settings.machine
    share = learner.objective.loss_share
    cost = cost_of(learner.model.backbone, length=training.length or 1, loss_share=share)
    return (
        f"{settings.objective.name} with {cost.parameters / 1e6:.1f} M parameters "
        f"({cost.body_parameters / 1e6:.1f} M besides embeddings): {training.steps:,} steps of "
        f"{matter.portion(settings)}, {training.optimizer} at {training.learning_rate:g} "
        f"({training.schedule}, {training.warmup_steps} steps of warm-up), "
        f"{machine.precision} on {machine.threads} thread(s) of {machine.device}"
    )
