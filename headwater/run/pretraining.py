"""Pre-training, composed: pool → windows → batches → objective → loop → the shipped model."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from headwater.data.batches import TokenBatches
from headwater.data.pool import Pool, build_pool
from headwater.data.problems import Problem
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Windows
from headwater.errors import BadDataError, SettingsError
from headwater.evaluation.stopping import advice
from headwater.models import Model, cost_of
from headwater.nn.initialization import begin_with_company
from headwater.run.choosing_model import continued_model, pretraining_model
from headwater.run.choosing_objective import READS, Given, Pretext
from headwater.run.deriving import derive_pretraining, derive_rhythm
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
from headwater.run.measuring import seconds_a_step, steps_in
from headwater.run.probing import Probe
from headwater.run.remembering import OldData
from headwater.run.settings import RunSettings
from headwater.run.shipping import Parent, ship_pretrained
from headwater.training import distributed
from headwater.training.loop import Learner
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests

EVALUATION_SHARE = 0.04
"""The share of a run that its evaluations take: eight forward passes every tenth of the way, and the probe."""
SHORTEST_RUN = 10
"""Steps that even the shortest time buys."""


def carry_on_pretraining(folder: RunFolder, progress: Progress) -> None:
    """Pre-train from the newest checkpoint, or from the beginning, to the shipped model."""
    world = distributed.start()
    with StopRequests(remedy=folder.resume_line) as stop:
        settings = derive_pretraining(agreed_machine(folder.settings(), world))
        pretext = Pretext.named(settings.objective.name)
        _refuse_parts(pretext, settings)
        device = use_machine(settings.machine)
        parent = Parent.of(settings.start_from)
        pool = world.first_then_others(lambda: _pool(settings, parent, progress, stop))
        world.on_first(lambda: _write_data(folder, pool))
        check = stop.for_all(world)
        check()

        model = _model(settings, pool.tokenizer, pretext)
        given = Given(pool.tokenizer, settings.objective, model, settings.training.seed)
        objective = pretext.build(given)
        if settings.start_from is None and settings.model.token_vectors == "counted":
            progress.stage("counting which tokens keep company")
            world.first_then_others(lambda: _begin_with_company(model, pool, stop.check))
        model = model.to(device)
        compile_blocks(model, settings.machine)
        learner = build_learner(model, objective, settings.training)
        old = OldData.of(settings, parent, pretext, learner, progress.say)
        batches = _batches(settings, pool, pretext)
        settings = _timed(settings, learner, batches, device, progress, check)
        world.on_first(lambda: folder.write_settings(settings))
        progress.say(_told_data(pool.facts))
        progress.say(_told(settings, learner))

        plan = build_plan(settings, device, world)
        drive = Drive(
            folder=folder,
            learner=learner,
            batch_of=batches.batch,
            plan=plan,
            training=settings.training,
            progress=progress,
            stop=stop,
            evaluate=_evaluation(settings, pool, pretext, learner, device, stop.check),
            average=weight_average(model, settings.training),
        )
        journey = drive()
        words = advice(journey.evaluations, steps=journey.step, learning_rate=plan.schedule)
        flops = journey.tokens * _flops_a_token(settings, learner, pool)
        world.on_first(
            lambda: ship_pretrained(
                folder,
                model,
                pool.tokenizer,
                settings,
                journey,
                flops=flops,
                advice=words,
                forgetting=old and old.forgotten(model),
            )
        )


def _pool(settings: RunSettings, parent: Parent | None, progress: Progress, stop: StopRequests) -> Pool:
    data = settings.data
    return build_pool(
        data.paths,
        text=data.text,
        hold_out=data.hold_out,
        keep_duplicates=data.keep_duplicates,
        weights=data.weights,
        vocabulary_size=settings.model.vocabulary_size,
        tokenizer=parent.tokenizer if parent else None,
        seed=settings.training.seed,
        cache=data.cache,
        progress=progress.report,
        check=stop.check,
    )


def _write_data(folder: RunFolder, pool: Pool) -> None:
    folder.write_json("data.json", pool.facts)
    pool.fingerprints.save(folder.path / "fingerprints.arrow")


def _refuse_parts(pretext: Pretext, settings: RunSettings) -> None:
    if pretext.couples_examples:
        refuse_parts(settings.objective.name, settings.training)


def _model(settings: RunSettings, tokenizer: Tokenizer, pretext: Pretext) -> Model:
    seed = settings.training.seed
    if settings.start_from is not None:
        model = continued_model(settings.start_from, pretext, seed=seed)
    else:
        length = settings.training.length
        model = pretraining_model(settings.model, tokenizer, pretext, length=length, seed=seed)
    if not fits(model.backbone, pretext.needs):
        raise SettingsError(
            f"{settings.objective.name} needs a model that reads {READS[pretext.needs]}, and this one reads "
            f"{READS[model.backbone.reads]}; choose another --objective or model.backbone"
        )
    refuse_long_rows(model, settings.training)
    set_activation_checkpointing(model, settings.training)
    return model


def _begin_with_company(model: Model, pool: Pool, check: Callable[[], None]) -> None:
    table = model.backbone.token_embedding.weight
    vectors = pool.token_vectors(table.shape[1] - 1, check=check)
    begin_with_company(table, torch.from_numpy(vectors))
    model.begin_outputs_as_tables()


def _batches(settings: RunSettings, pool: Pool, pretext: Pretext) -> TokenBatches:
    training = settings.training
    assert training.length is not None
    assert training.batch_tokens is not None
    return TokenBatches(
        pool.windows(training.length),
        pool.tokenizer,
        tokens_per_batch=training.batch_tokens // (training.micro_batches or 1),
        seed=training.seed,
        packed=training.packed,
        length_grouping=training.length_grouping,
        open_ends=pretext.needs == "past",
    )


def _timed(
    settings: RunSettings,
    learner: Learner,
    batches: TokenBatches,
    device: torch.device,
    progress: Progress,
    check: Callable[[], None],
) -> RunSettings:
    """Minutes turned into steps, once; a run that already knows its steps keeps them."""
    if settings.training.steps is None:
        assert settings.training.minutes is not None
        progress.say("measuring the speed of this machine on a few steps, which are then undone")
        world = distributed.world()
        trial = derive_rhythm(settings.having(training={"steps": 1000}), evaluate=False)
        plan = build_plan(trial, device, world)
        seconds = seconds_a_step(learner, batches.batch, plan, check=check)
        steps = steps_in(settings.training.minutes, seconds, evaluation_share=EVALUATION_SHARE)
        settings = settings.having(training={"steps": max(steps, SHORTEST_RUN)})
    return derive_rhythm(settings, evaluate=True)


def _evaluation(
    settings: RunSettings,
    pool: Pool,
    pretext: Pretext,
    learner: Learner,
    device: torch.device,
    check: Callable[[], None],
) -> Callable[[], dict[str, float]] | None:
    """The held-out loss, and the probe where there are labels for one; None when nothing was held out.

    ``check`` is asked after every batch, and raises to stop.
    """
    training = settings.training
    assert training.length is not None
    windows = Windows(pool.validation, training.length)
    if not len(windows):
        if settings.data.probe is not None:
            raise BadDataError(
                f"the probe on {settings.data.probe} goes with evaluations on held-out text, and of "
                f"{len(pool.train):,} document(s) none was held out; give more documents, or leave --probe out"
            )
        return None
    batches = TokenBatches(
        windows,
        pool.tokenizer,
        tokens_per_batch=min(training.batch_tokens or 4096, 8192),
        seed=0,
        open_ends=pretext.needs == "past",
    )
    precision = settings.machine.precision or "fp32"
    held_out = HeldOut.of(
        learner.objective,
        first_batches(batches.batch, batches.batches_per_epoch(0)),
        precision=precision,
        device=device,
    )
    probe = Probe.of(settings, pool.tokenizer, device)

    def evaluate() -> dict[str, float]:
        numbers = held_out(learner.model, check=check)
        return {**numbers, **probe(learner.model, check=check)} if probe is not None else numbers

    return evaluate


def _flops_a_token(settings: RunSettings, learner: Learner, pool: Pool) -> float:
    assert settings.training.length is not None
    length = round(float(pool.windows(settings.training.length).lengths.mean()))
    share = learner.objective.loss_share
    return cost_of(learner.model.backbone, length=length, loss_share=share).training_flops_per_token


def _told_data(facts: Mapping[str, Any]) -> str:
    """How much there is to learn from, and what was left out of it."""
    left_out = facts["left_out"]
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out["by_reason"].items())
    first = next(iter(left_out["first"]), None)
    place = f" (first: {Problem(**first)})" if first else ""
    return (
        f"{facts['documents']:,} documents ({facts['bytes'] / 1e6:,.1f} MB) to learn from, "
        f"{facts['validation']['documents']:,} to judge on"
        + (f"; left out of {left_out['rows']:,} rows: {reasons}{place}" if reasons else "")
    )


def _told(settings: RunSettings, learner: Learner) -> str:
    """Every derived number, in one line."""
    training, machine = settings.training, settings.machine
    share = learner.objective.loss_share
    cost = cost_of(learner.model.backbone, length=training.length or 1, loss_share=share)
    return (
        f"{settings.objective.name} with {cost.parameters / 1e6:.1f} M parameters "
        f"({cost.body_parameters / 1e6:.1f} M besides embeddings): {training.steps:,} steps of "
        f"{training.batch_tokens:,} tokens, windows of {training.length}, {training.optimizer} at "
        f"{training.learning_rate:g} ({training.schedule}, {training.warmup_steps} steps of warm-up), "
        f"{machine.precision} on {machine.threads} thread(s) of {machine.device}"
    )
